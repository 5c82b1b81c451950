"""What `--json` prints, command by command: an example of each document. Tests compare the keys with what is printed."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.cli.documents import Document

_FOLDER = "s3://acme-exports/cdp/orders/exportTime=202612010200"

_VERSIONS = [{"dataset": "orders", "after": 4, "upto": 5, "change_source": "delta-cdf"}]

_DELIVERY: Document = {
    "type": "delivery",
    "export": "commerce_to_lake",
    "member": "orders",
    "export_time": "202612010200",
    "state": "committed",
    "delivery": "3f0c...",
    "mode": "incremental",
    "reason": None,
    "chain": "9a1b...",
    "sequence": 7,
    "base_export_time": "202611300200",
    "previous_export_time": "202611302300",
    "versions": _VERSIONS,
    "rows": {"received": 3, "total": 3, "inserted": 3, "updated": 0, "deleted": 0, "left_out": {}, "failed": 0},
    "files": 1,
    "bytes": 2048,
    "folder": _FOLDER,
    "covered_by": None,
    "run_id": "c41d...",
    "pinned_at": "2026-12-01T02:00:03+00:00",
    "committed_at": "2026-12-01T02:00:05+00:00",
}

_ATTEMPT: Document = {
    "number": 1,
    "status": "committed",
    "run_id": "c41d...",
    "started_at": "2026-12-01T02:00:03+00:00",
    "ended_at": "2026-12-01T02:00:05+00:00",
    "error": None,
}

_SKIP: Document = {
    "type": "skip",
    "export": "commerce_to_lake",
    "member": "orders",
    "export_time": "202612010100",
    "state": "skipped",
    "reason": "covered_by",
    "message": "...",
    "next_step": "...",
    "run_id": "77e2...",
    "at": "2026-12-01T02:10:00+00:00",
}

_SUMMARY: Document = {
    "export": "commerce_to_lake",
    "kind": "dataset",
    "connection": "lake",
    "connection_type": "s3",
    "members": ["orders"],
    "mode": "incremental",
    "changes": "added",
    "format": "parquet",
    "schedule": "every 3h",
    "schedule_on": True,
    "description": None,
    "last": [
        {
            "member": "orders",
            "export_time": "202612010200",
            "state": "committed",
            "at": "2026-12-01T02:00:05+00:00",
            "reason": None,
            "message": None,
            "next_step": None,
        }
    ],
}

_DELIVERIES: Document = {"export": "commerce_to_lake", "export_time": "202612010200", "deliveries": [_DELIVERY]}

SHAPES: Mapping[str, Document] = {
    "list": {"environment": "acme", "exports": [_SUMMARY]},
    "show": {
        **_SUMMARY,
        "declaration": {"...": "as in the catalog, defaults filled in"},
        "chains": [{"member": "orders", "key": ["order_id"], "last_delivery": _DELIVERY, "open": []}],
    },
    "plan": {
        "export": "commerce_to_lake",
        "export_time": "202612010500",
        "members": [
            {
                "member": "orders",
                "increment": "changes",
                "reason": None,
                "versions": _VERSIONS,
                "sequence": 8,
                "previous_export_time": "202612010200",
                "rows_estimate": None,
                "bytes_estimate": 4096,
                "folder": "s3://acme-exports/cdp/orders/exportTime=202612010500",
                "error": None,
                "warnings": [],
            }
        ],
    },
    "run": {
        "export": "commerce_to_lake",
        "export_time": "202612010200",
        "run_id": "c41d...",
        "cancelled": False,
        "error": None,
        "members": [
            {
                "member": "orders",
                "status": "committed",
                "sent": True,
                "folder": _FOLDER,
                "delivery": _DELIVERY,
                "error": None,
                "warnings": [],
            }
        ],
    },
    "history": {
        "environment": "acme",
        "export": "commerce_to_lake",
        "entries": [{**_DELIVERY, "attempts": [_ATTEMPT], "running": False}, _SKIP],
    },
    "verify": {
        "export": "commerce_to_lake",
        "intact": True,
        "deliveries": [
            {
                "member": "orders",
                "export_time": "202612010200",
                "intact": True,
                "folder": _FOLDER,
                "files": 1,
                "bytes": 2048,
                "differences": [],
                "notes": [],
            }
        ],
    },
    "replay": _DELIVERIES,
    "resolve": _DELIVERIES,
    "adopt": {"export": "commerce_to_lake", "adopted": {"orders": 7}},
    "columns": {
        "dataset": "profiles",
        "file": "/srv/acme/catalog/datasets/profiles.yaml",
        "columns": [{"name": "profile_id", "type": "BIGINT", "declared": "bigint"}],
        "written": False,
    },
}
"""By command. `history` tells its entries apart by `type`."""
