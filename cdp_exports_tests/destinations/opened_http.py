"""Connections to the receiver of HTTP batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cdp_exports.destinations.http import HttpDestination, open_http
from cdp_exports.destinations.http_requests import Patience
from cdp_exports.entities.http_connection import HttpConnection
from cdp_exports_tests.servers.endpoint import Endpoint

IMPATIENT = Patience(connect=2, answer=2, wait=5)


def open_endpoint(endpoint: Endpoint, /, *, environ: dict[str, str] | None = None, root: Path = Path(), **changes: Any) -> HttpDestination:
    """`environ`: what is another than the endpoint expects."""
    connection = HttpConnection.model_validate(endpoint.declared(**changes))
    return open_http(connection, root, endpoint.environ | (environ or {}), IMPATIENT)
