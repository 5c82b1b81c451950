"""What `--json` prints, command by command: an example of each document. Tests compare the keys with what is printed."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.cli.documents import Document

_FOLDER = "s3://acme-exports/cdp/orders/exportTime=202612010200"

_VERSIONS = [{"dataset": "orders", "after": 4, "upto": 5, "change_source": "delta-cdf"}]

_DELIVERY: Document = {
    "type": "delivery",
    "kind": "dataset",
    "export": "commerce_to_lake",
    "member": "orders",
    "export_time": "202612010200",
    "state": "committed",
    "delivery": "3f0c...",
    "mode": "incremental",
    "way": None,
    "reason": None,
    "chain": "9a1b...",
    "sequence": 7,
    "base_export_time": "202611300200",
    "previous_export_time": "202611302300",
    "versions": _VERSIONS,
    "rows": {"received": 3, "total": 3, "inserted": 3, "updated": 0, "deleted": 0, "left_out": {}, "failed": 0},
    "funnel": None,
    "movement": None,
    "rejections": None,
    "batches": None,
    "files": 1,
    "bytes": 2048,
    "folder": _FOLDER,
    "covered_by": None,
    "run_id": "c41d...",
    "pinned_at": "2026-12-01T02:00:03+00:00",
    "committed_at": "2026-12-01T02:00:05+00:00",
}

_FUNNEL: Document = {
    "members": 1200,
    "without_contact": 0,
    "rows": 1200,
    "left_out": {"no_consent": 150, "missing:EMAIL": 40, "duplicate": 10},
    "deliverable": 1000,
}

_MOVEMENT: Document = {"before": 995, "entered": 12, "updated": 30, "exited": 7, "held": 1000, "exits": {"left_segment": 6, "deleted": 1}}

_LIMIT: Document = {"kind": "audience", "bound": "max", "count": 1000, "limit": 300000, "percent": 0.3, "state": "within"}

_SEGMENT_VERSIONS = [{"dataset": "profiles", "after": 4, "upto": 5, "change_source": "delta-cdf"}]

_SEGMENT_DELIVERY: Document = {
    **_DELIVERY,
    "kind": "segment",
    "export": "vip_to_crm",
    "member": "vip",
    "way": "touched",
    "reason": "Rows that changed, and the members they touch by consent.",
    "versions": _SEGMENT_VERSIONS,
    "rows": {"received": 49, "total": 49, "inserted": 12, "updated": 30, "deleted": 7, "left_out": {}, "failed": 0},
    "funnel": _FUNNEL,
    "movement": _MOVEMENT,
    "folder": "s3://acme-crm/vip/exportTime=202612010200",
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
    "kind": "dataset",
    "export": "commerce_to_lake",
    "member": "orders",
    "export_time": "202612010100",
    "state": "skipped",
    "permanent": False,
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
    "next_export_time": "202612010500",
    "description": None,
    "last": [
        {
            "member": "orders",
            "export_time": "202612010200",
            "state": "committed",
            "at": "2026-12-01T02:00:05+00:00",
            "permanent": False,
            "reason": None,
            "message": None,
            "next_step": None,
            "failures_in_a_row": 0,
            "failing": False,
        }
    ],
}

_DELIVERIES: Document = {"export": "commerce_to_lake", "export_time": "202612010200", "deliveries": [_DELIVERY]}

_OUTCOME: Document = {
    "member": "orders",
    "status": "committed",
    "sent": True,
    "folder": _FOLDER,
    "delivery": _DELIVERY,
    "limits": [],
    "error": None,
    "warnings": [],
}

SHAPES: Mapping[str, Document] = {
    "list": {"environment": "acme", "exports": [_SUMMARY]},
    "show": {
        "type": "export",
        **_SUMMARY,
        "next_export_times": ["202612010500", "202612010800"],
        "declaration": {"...": "as in the catalog, defaults filled in"},
        "advice": [],
        "chains": [
            {"member": "orders", "key": ["order_id"], "way": None, "way_reason": None, "last_delivery": _DELIVERY, "open": []},
        ],
    },
    "show, of a segment": {
        "type": "segment",
        "segment": "vip",
        "description": None,
        "owners": [],
        "of": "profiles",
        "key": ["profile_id"],
        "declaration": {"...": "as in the catalog"},
        "sql": "SELECT ...",
        "datasets": ["profiles"],
        "members": 1200,
        "versions": {"profiles": 5},
        "error": None,
        "exports": [
            {
                "export": "vip_to_crm",
                "connection": "crm",
                "connection_type": "sftp",
                "last_export_time": "202612010200",
                "held": 1000,
                "limits": [{**_LIMIT, "count": 1200, "percent": 0.4}],
            }
        ],
    },
    "plan": {
        "export": "commerce_to_lake",
        "kind": "dataset",
        "export_time": "202612010500",
        "advice": [],
        "members": [
            {
                "member": "orders",
                "increment": "changes",
                "way": None,
                "reason": None,
                "versions": _VERSIONS,
                "sequence": 8,
                "previous_export_time": "202612010200",
                "rows_estimate": None,
                "bytes_estimate": 4096,
                "folder": "s3://acme-exports/cdp/orders/exportTime=202612010500",
                "funnel": None,
                "movement": None,
                "left_out": None,
                "limits": [],
                "rows": None,
                "encrypted_to": [],
                "error": None,
                "warnings": [],
            }
        ],
    },
    "plan, of segments": {
        "export": "vip_to_crm",
        "kind": "segment",
        "export_time": "202612010500",
        "advice": [],
        "members": [
            {
                "member": "vip",
                "increment": "changes",
                "way": "touched",
                "reason": "Rows that changed, and the members they touch by consent.",
                "versions": _SEGMENT_VERSIONS,
                "sequence": 8,
                "previous_export_time": "202612010200",
                "rows_estimate": None,
                "bytes_estimate": 4096,
                "folder": "s3://acme-crm/vip/exportTime=202612010500",
                "funnel": _FUNNEL,
                "movement": _MOVEMENT,
                "left_out": {},
                "limits": [_LIMIT],
                "rows": 49,
                "encrypted_to": [{"fingerprint": "7A1E5ED3AC6CD5DD78FC6E0B49E4834DFA512DD9", "expires": "2028-11-21T01:18:50+00:00"}],
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
        "members": [_OUTCOME],
    },
    "run, all": {
        "environment": "acme",
        "families": [
            {
                "family": "dataset",
                "started": [
                    {
                        "export": "commerce_to_lake",
                        "export_time": "202612010200",
                        "run_id": "c41d...",
                        "cancelled": False,
                        "error": None,
                        "members": [_OUTCOME],
                    }
                ],
                "left_out": [{"export": "orders_to_crm", "reason": "off", "message": "Its schedule is off."}],
            },
            {"family": "profile", "started": [], "left_out": []},
        ],
    },
    "history": {
        "environment": "acme",
        "export": "commerce_to_lake",
        "entries": [{**_DELIVERY, "attempts": [_ATTEMPT], "running": False}, _SKIP],
    },
    "history, of segments": {
        "environment": "acme",
        "export": "vip_to_crm",
        "entries": [{**_SEGMENT_DELIVERY, "attempts": [_ATTEMPT], "running": False}],
    },
    "schedule": {
        "exports": [
            {
                "export": "commerce_to_lake",
                "before": "every 3h",
                "schedule": "daily at 02:00 UTC",
                "schedule_on": True,
                "switched": False,
                "next_export_time": "202612020200",
            }
        ],
        "files": ["/srv/shop/catalog/exports/commerce_to_lake.yaml"],
    },
    "remove": {
        "export": "commerce_to_lake",
        "kind": "dataset",
        "removed": [
            {
                "member": "orders",
                "last_export_time": "202612010200",
                "base_export_time": "202611300200",
                "sequence": 7,
                "target": "s3://acme-exports/cdp",
            }
        ],
        "kept": [],
        "schedule": "every 3h",
        "schedule_on": False,
        "next_export_time": None,
        "running": None,
        "queued": [{"run_id": "77e2...", "export_time": "202612010500", "members": ["orders"]}],
        "waiting": [{"export_time": "202612010600", "members": ["orders"]}],
        "file": "/srv/shop/catalog/exports/commerce_to_lake.yaml",
        "deleted": True,
    },
    "remove, of another object": {"removed": "datasets/orders", "file": "/srv/shop/catalog/datasets/orders.yaml"},
    "explain": {
        "export": "vip_to_crm",
        "kind": "segment",
        "members": [
            {
                "member": "vip",
                "key": {"profile_id": "4711"},
                "deliveries": [
                    {
                        "export_time": "202612010200",
                        "what": "exited",
                        "reason": "no_consent",
                        "sent": True,
                        "contact": None,
                        "known_by": "state",
                        "versions": _SEGMENT_VERSIONS,
                    }
                ],
            }
        ],
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
    "expire": {
        "deliveries": [{"export": "commerce_to_drop", "member": "orders", "export_time": "202612010200", "connection": "drop", "files": 1}]
    },
    "check": {
        "environment": "acme",
        "status": "failed",
        "connections": [
            {
                "connection": "lake",
                "connection_type": "s3",
                "status": "failed",
                "checks": [
                    {"step": "sign in and list", "status": "ok", "message": "s3://acme-exports/cdp", "next_step": ""},
                    {
                        "step": "write",
                        "status": "failed",
                        "message": "s3://acme-exports/cdp: these credentials have no right to do this.",
                        "next_step": "Allow it ...",
                    },
                ],
            }
        ],
    },
    "destinations": {
        "types": [
            {
                "type": "linkedin_contacts",
                "about": "LinkedIn Ads: matched audiences of people",
                "family": "audiences",
                "package": None,
                "needs": "pip install 'cdp-exports[linkedin]'",
                "formats": {},
                "modes": ["incremental"],
                "accepts": ["people"],
                "limits": {"audience_max": 100000, "audience_min": 300, "delivery_max": None, "file_max": None, "batch_max": 5000},
                "hashes_identities": False,
                "proof": None,
                "publishes_atomically": False,
                "repeat": "harmless",
                "takes_key": False,
                "fields": [{"field": "email", "about": "An e-mail address.", "identity": True, "transforms": ["trim", "lower", "sha256"]}],
                "required_fields": [["email"], ["first_name", "last_name"]],
                "keys": [{"name": "account_id", "type": "text", "required": True, "default": "", "meaning": "The ad account."}],
                "example": "type: linkedin_contacts\n...",
            }
        ],
        "not_usable": [{"type": "acme_crm", "package": "acme-cdp-exports", "why": "..."}],
    },
    "columns": {
        "dataset": "profiles",
        "file": "/srv/acme/catalog/datasets/profiles.yaml",
        "columns": [{"name": "profile_id", "type": "BIGINT", "declared": "bigint"}],
        "written": False,
    },
}
"""By command; behind a comma a second document of the same command. `history` tells its entries apart by `type`, and all else by `kind`."""
