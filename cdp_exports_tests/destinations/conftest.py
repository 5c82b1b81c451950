"""Every store far away by one fixture, and a broken way to it by another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cdp_exports_tests.destinations.far import STORES, Far
from cdp_exports_tests.servers.faults import FaultProxy


@pytest.fixture(params=list(STORES))
def far(request: pytest.FixtureRequest) -> Far:
    return _of(request)


@pytest.fixture(params=["s3", "gcs", "azure"])
def web(request: pytest.FixtureRequest) -> Far:
    """Those that are spoken to by HTTP."""
    return _of(request)


def _of(request: pytest.FixtureRequest) -> Far:
    make, of = STORES[request.param]
    return make(request.getfixturevalue(of))


@pytest.fixture
def way(request: pytest.FixtureRequest) -> Iterator[FaultProxy]:
    """To the store of the test."""
    name = "far" if "far" in request.fixturenames else "web"
    with FaultProxy("127.0.0.1", request.getfixturevalue(name).port) as way:
        yield way
