"""The newest observation of an asset, over Postgres: numbers are given out before what bears them can be seen."""

from __future__ import annotations

import dagster as dg
from sqlalchemy import create_engine, text

from cdp_exports.assets.observations import Observations
from cdp_exports_tests.automation.test_postgres import in_postgres

__all__ = ["in_postgres"]

SLOW, QUICK = dg.AssetKey(["warehouse", "slow"]), dg.AssetKey(["warehouse", "quick"])
AGAIN = text(
    "INSERT INTO event_logs (run_id, event, dagster_event_type, timestamp, asset_key) "
    "SELECT run_id, event, dagster_event_type, timestamp, asset_key FROM event_logs WHERE id = :id RETURNING id"
)


def test_one_that_becomes_visible_late_is_not_passed_over(in_postgres: dg.DagsterInstance, postgres_database: str) -> None:
    for key in (SLOW, QUICK):
        in_postgres.report_runless_asset_event(dg.AssetObservation(key))
    seen = Observations()
    first = dict(seen.newest(in_postgres, [SLOW, QUICK]))
    with create_engine(postgres_database).connect() as another:
        late = another.execute(AGAIN, {"id": first[SLOW]}).scalar_one()
        in_postgres.report_runless_asset_event(dg.AssetObservation(QUICK))
        between = dict(seen.newest(in_postgres, [SLOW, QUICK]))
        assert between[SLOW] == first[SLOW]
        assert (between[QUICK] or 0) > late, "a greater number, and seen before"
        another.commit()
    assert seen.newest(in_postgres, [SLOW, QUICK]) == {**between, SLOW: late}
