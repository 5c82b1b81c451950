"""Dagster instances, and a protocol that ends as the test says."""

from __future__ import annotations

import pytest

from cdp_exports.assets import delivering
from cdp_exports_tests.assets.instances import empty_home, home, instance, stored_instance
from cdp_exports_tests.assets.scripted import Scripted

__all__ = ["empty_home", "home", "instance", "stored_instance"]


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> Scripted:
    """Takes the protocol's place."""
    script = Scripted()
    monkeypatch.setattr(delivering, "deliver", script)
    return script
