"""Dagster instances with storage on disk: schedules look for nothing else."""

from __future__ import annotations

from cdp_exports_tests.assets.instances import empty_home, home, stored_instance

__all__ = ["empty_home", "home", "stored_instance"]
