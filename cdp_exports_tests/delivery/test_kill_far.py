"""kill -9 where a store far away could see it, then a retry. Every step, on S3 and on a local disk: test_kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cdp_exports_tests.delivery.test_kill import as_if_nothing_had_happened, begun
from cdp_exports_tests.delivery.world import TIMES, World, hurry
from cdp_exports_tests.destinations.far import STORES, Far
from cdp_exports_tests.servers.openssh import Home


@pytest.fixture(params=["gcs", "azure", "sftp"])
def far(request: pytest.FixtureRequest) -> Far:
    make, of = STORES[request.param]
    made = request.getfixturevalue(of)
    if isinstance(made, Home):
        made.add_folder("world")
    return make(made)


@pytest.fixture(autouse=True)
def _short_leases() -> None:
    hurry()


@pytest.mark.parametrize("step", ["close", "end_file", "create", "commit"])
def test_killed(far: Far, step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a file on its way, a file that the ledger does not know complete, the intent only, and the manifest."""
    for name, value in far.environ.items():
        monkeypatch.setenv(name, value)
    declared = {name: value for name, value in far.declared.items() if value is not None}
    world = begun(World.create(tmp_path, connection={**declared, "folder": f"{declared['folder']}/world"}))
    command = [sys.executable, "-m", "cdp_exports_tests.delivery.crash", str(tmp_path), TIMES[1], "kill", step]
    assert subprocess.run(command, capture_output=True, timeout=120, check=False, env=dict(os.environ)).returncode == -signal.SIGKILL
    as_if_nothing_had_happened(world)
    assert far.hidden() == []
