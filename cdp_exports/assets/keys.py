"""How things are called in Dagster.

What lives in the instance (partitions, pools) or stands beside other people's things (schedules, ops) begins with the
environment's name, so that several environments share one instance.
"""

from __future__ import annotations

from dagster import AssetKey

from cdp_exports.catalog.catalog import Catalog

DATASETS = "datasets"
DATASET_EXPORTS = "dataset_exports"


def dataset_key(catalog: Catalog, dataset_id: str) -> AssetKey:
    """The asset whose materialization refreshes a dataset: the user's own, else `datasets/<id>`."""
    own = catalog.datasets[dataset_id].asset_key
    return AssetKey(list(own)) if own else AssetKey([DATASETS, dataset_id])


def dataset_export_key(export_id: str, member: str) -> AssetKey:
    """One member of one dataset export: `dataset_exports/<export>/<dataset>`."""
    return AssetKey([DATASET_EXPORTS, export_id, member])


def op_name(environment: str, export_id: str) -> str:
    """The step that delivers an export; also the name of its schedule. Dagster allows letters, digits and `_` here."""
    return f"{environment}_{export_id}"


def partitions_name(environment: str, export_id: str) -> str:
    """The set of an export's export times."""
    return f"{environment}/{export_id}"


def pool_name(environment: str, connection_id: str) -> str:
    """The pool that all deliveries to one connection share; its limit is set in Dagster."""
    return f"{environment}/{connection_id}"


def resource_key(connection_id: str) -> str:
    """The resource that opens a connection; one of the same key in the user's own Definitions takes its place."""
    return f"connection_{connection_id}"
