"""Fixtures of all tests: real servers and fault tools."""

from __future__ import annotations

pytest_plugins = [
    "cdp_exports_tests.servers.azurite",
    "cdp_exports_tests.servers.endpoint",
    "cdp_exports_tests.servers.entra",
    "cdp_exports_tests.servers.faults",
    "cdp_exports_tests.servers.gnupg",
    "cdp_exports_tests.servers.linkedin",
    "cdp_exports_tests.servers.openssh",
    "cdp_exports_tests.servers.postgres",
    "cdp_exports_tests.servers.seaweedfs",
    "cdp_exports_tests.servers.gcs",  # after what it imports: pytest rewrites the asserts of what it loads first
]
