"""Exports a customer data platform's datasets to destinations, incrementally and with proof, as Dagster assets."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cdp_exports.definitions import build_definitions

__all__ = ["build_definitions"]


def __getattr__(name: str) -> object:
    """Load Dagster only for those who ask for its definitions."""
    if name == "build_definitions":
        from cdp_exports.definitions import build_definitions

        return build_definitions
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
