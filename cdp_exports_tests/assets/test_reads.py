"""An export's assets depend on all that its deliveries read, found without compiling each of a thousand."""

from __future__ import annotations

from typing import Any

import pytest

from cdp_exports.assets.profile_exports import also_read
from cdp_exports.entities.capabilities import capabilities_of
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.local_connection import LocalConnection
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.compile import compile_audience
from cdp_exports.segments.members import compile_segment


def dataset(role: str, key: str, **more: Any) -> Dataset:
    columns = {"account_id": "bigint", "contact_id": "bigint", "name": "varchar", "email": "varchar", "ok": "boolean", "at": "timestamptz"}
    return Dataset.model_validate(
        {"source": {"format": "delta", "uri": key}, "role": role, "key": [key], "columns": columns, **more}, strict=False
    )


DATASETS = {
    "accounts": dataset("account", "account_id", consent={"sales": "ok"}),
    "contacts": dataset("contact", "contact_id", consent={"sales": "ok"}),
    "visits": dataset("event", "account_id"),
    "orders": dataset("event", "account_id"),
    "blocked": dataset("other", "email"),
}
SEGMENTS = {
    "named": Segment(of="accounts", where="name IS NOT NULL"),
    "visited": Segment(of="accounts", sql="SELECT account_id, max(at) AS last_visit FROM visits GROUP BY account_id"),
    "ordered": Segment(of="accounts", sql="SELECT account_id FROM orders JOIN visits USING (account_id)"),
    "both": Segment(all_of=("named", "visited"), none_of=("ordered",)),
}
PLAIN: dict[str, Any] = {"connection": "out", "kind": "segment", "fields": [{"from": "accounts.name", "to": "name"}]}
PROJECTED: dict[str, Any] = {
    **PLAIN,
    "project": {"dataset": "contacts", "by": ["account_id"], "where": "email IS NOT NULL"},
    "fields": [{"from": "contacts.email", "to": "email"}, {"from": "upper(accounts.name)", "to": "name"}],
    "dedupe_by": ["contacts.email"],
}


@pytest.mark.parametrize("segment", SEGMENTS)
@pytest.mark.parametrize("export", [PLAIN, PROJECTED], ids=["accounts", "contacts"])
@pytest.mark.parametrize("guarded", [False, True])
def test_nothing_else_is_read(segment: str, export: dict[str, Any], guarded: bool) -> None:
    person = "contacts" if "project" in export else "accounts"
    listed = {"dataset": "blocked", "column": "email", "matches": f"lower({person}.email)"}
    guards: dict[str, Any] = {"purpose": "sales", "suppress": [listed]} if guarded else {}
    declared = SegmentExport.model_validate({**export, "segments": [segment]}, strict=False)
    connection = LocalConnection.model_validate({"type": "local", "folder": "out", **guards}, strict=False)
    audience = compile_audience(segment, SEGMENTS, DATASETS, declared, connection, capabilities_of("local"))
    found = {*compile_segment(segment, SEGMENTS, DATASETS).datasets, *also_read(declared, connection)}
    assert found == {*audience.datasets, *audience.guards}
