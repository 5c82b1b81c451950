"""The TPC-H scenario, small: what DuckDB and pyarrow read of the deliveries is the table, and whom receivers hold is the segment."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from scenarios.tpch import audiences, receivers

ROOT = Path(__file__).parents[1]


def test_receivers_hold_tables_and_segments_and_would_notice_if_not(tmp_path: Path) -> None:
    environ = {name: value for name, value in os.environ.items() if name not in ("DAGSTER_HOME", "CDP_EXPORTS_CATALOG")}
    command = [sys.executable, "-m", "scenarios.tpch", "0.01", "--rounds", "2", "--folder", str(tmp_path / "tpch")]
    ended = subprocess.run(command, cwd=ROOT, env=environ, text=True, capture_output=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr

    table, key = tmp_path / "tpch" / "data" / "lineitem", "lineitem"
    for place in ("parquet", "csv"):
        deliveries = receivers.delivered(tmp_path / "tpch" / "exports" / place, key)
        base, _, second = deliveries
        for compare in (receivers.rebuilt_by_duckdb, receivers.rebuilt_by_pyarrow):
            assert compare(table, key, deliveries).equal
            assert not compare(table, key, [base, second]).equal
    added = receivers.delivered(tmp_path / "tpch" / "exports" / "json", key)
    assert receivers.added_by_duckdb(table, key, added).equal
    Path(added[-1].files[0]).write_bytes(Path(added[0].files[0]).read_bytes())
    assert not receivers.added_by_duckdb(table, key, added).equal
    assert not receivers.counted_by_pyarrow(table, key, added).equal

    for (place, segment), truth in audiences.TRUTHS.items():
        deliveries = receivers.delivered(tmp_path / "tpch" / "exports" / place, segment)
        base, first, second = deliveries
        assert audiences.applied_by_duckdb(tmp_path / "tpch" / "data", truth, deliveries).equal
        assert not audiences.applied_by_duckdb(tmp_path / "tpch" / "data", truth, [base, second]).equal
        assert not audiences.applied_by_duckdb(tmp_path / "tpch" / "data", truth, [base, first, first, second]).equal
