"""How things are called in Dagster.

What lives in the instance (partitions, pools) or stands beside other people's things (schedules, ops) begins with the
environment's name, so that several environments share one instance.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from dagster import AssetKey

from cdp_exports.catalog.catalog import Catalog

Kind = Literal["dataset", "segment"]

DATASETS = "datasets"
SEGMENTS = "segments"
GROUPS: Mapping[Kind, str] = {"dataset": "dataset_exports", "segment": "profile_exports"}
"""The group of each kind of export, and how the keys of its assets begin."""

FAMILY = "cdp/family"
"""The tag of assets, schedules and runs by which each family is listed by itself; no number is of both."""

FAMILIES: Mapping[Kind, str] = {"dataset": "dataset", "segment": "profile"}
"""The family of each kind."""


def dataset_key(catalog: Catalog, dataset_id: str) -> AssetKey:
    """The asset whose materialization refreshes a dataset: the user's own, else `datasets/<id>`."""
    own = catalog.datasets[dataset_id].asset_key
    return AssetKey(list(own)) if own else AssetKey([DATASETS, dataset_id])


def segment_key(segment_id: str) -> AssetKey:
    """A segment: `segments/<id>`."""
    return AssetKey([SEGMENTS, segment_id])


def export_key(kind: Kind, export_id: str, member: str) -> AssetKey:
    """One member of one export: `dataset_exports/<export>/<dataset>` or `profile_exports/<export>/<segment>`."""
    return AssetKey([GROUPS[kind], export_id, member])


def run_tags(catalog: Catalog, export_id: str) -> dict[str, str]:
    """The tags of an export's runs; its assets have them too."""
    export = catalog.exports[export_id]
    return {
        FAMILY: FAMILIES[export.kind],
        "cdp/environment": catalog.environment.name,
        "cdp/export": export_id,
        "cdp/connection": export.connection,
    }


def op_name(environment: str, export_id: str) -> str:
    """The step that delivers an export; also the name of its schedule. Dagster allows letters, digits and `_` here."""
    return f"{environment}_{export_id}"


def segments_op_name(environment: str) -> str:
    """The step that counts segments, and its sensor; no id begins with `_`, so no export's step has this name."""
    return f"{environment}__segments"


def partitions_name(environment: str, export_id: str) -> str:
    """The set of an export's export times."""
    return f"{environment}/{export_id}"


def pool_name(environment: str, connection_id: str) -> str:
    """The pool that all deliveries to one connection share; its limit is set in Dagster."""
    return f"{environment}/{connection_id}"


def resource_key(connection_id: str) -> str:
    """The resource that opens a connection; one of the same key in the user's own Definitions takes its place."""
    return f"connection_{connection_id}"
