"""Members of segments, counted apart from any export."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cdp_exports.delivery.counting import count_members
from cdp_exports.errors import SourceUnreadable
from cdp_exports_tests.delivery.segment_world import CHOICES, COMBINED, PREDICATE, QUERY, SEGMENT, Chosen, SegmentWorld

NOON = datetime(2026, 1, 1, tzinfo=UTC)


def people(*ids: int, **values: Any) -> list[dict[str, Any]]:
    return [{"id": n, "email": f"p{n}@x", "country": "FR", "value": n, "seen": NOON, "opt_in": True, **values} for n in ids]


@pytest.mark.parametrize("chosen", CHOICES, ids=["predicate", "recent", "query", "combined"])
def test_as_many_as_somebody_counts_by_hand(tmp_path: Path, chosen: Chosen) -> None:
    world = SegmentWorld.begin(tmp_path, chosen)
    world.put("people", [*people(*range(1, 9)), *people(9, 10, country="US"), *people(11, seen=datetime.now(UTC))])
    world.append("orders", [{"order_id": n, "person": 1 + n % 4, "open": n % 3 > 0} for n in range(12)])
    counted = count_members(world.context, [SEGMENT])[SEGMENT]
    assert counted.members == len(world.truth(world.ledger.now()))
    assert counted.versions["people"] == world.delta("people").version()
    assert ("orders" in counted.versions) == (chosen in (QUERY, COMBINED))


def test_several_at_once_read_each_dataset_once(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, COMBINED)
    world.put("people", people(*range(1, 9)))
    (tmp_path / "named.csv").write_text("id,why\n1,friend\n8,friend\n99,unknown\n", encoding="utf-8")
    world.declare("segments/named.yaml", {"of": "people", "list": {"uri": "named.csv", "format": "csv", "columns": {"why": "varchar"}}})
    opened: list[str] = []

    def open_source(dataset: str) -> Any:
        opened.append(dataset)
        return world.context.open_source(dataset)

    counts = count_members(replace(world.context, open_source=open_source), ["rich", "french", SEGMENT, "named"])
    assert {segment: count.members for segment, count in counts.items()} == {"rich": 3, "french": 8, SEGMENT: 8, "named": 2}
    assert sorted(opened) == ["orders", "people"]


def test_a_table_that_breaks_its_promise(tmp_path: Path) -> None:
    world = SegmentWorld.begin(tmp_path, PREDICATE)
    world.declare(
        "datasets/people.yaml",
        {
            "source": {"format": "delta", "uri": "data/orders"},
            "role": "profile",
            "key": ["id"],
            "columns": {"id": "bigint", "value": "bigint", "country": "varchar", "email": "varchar"},
        },
    )
    with pytest.raises(SourceUnreadable, match="people"):
        count_members(world.context, [SEGMENT])
