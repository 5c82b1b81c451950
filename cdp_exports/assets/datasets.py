"""Datasets as upstream assets."""

from __future__ import annotations

from dagster import AssetSpec

from cdp_exports.assets.keys import DATASETS, dataset_key
from cdp_exports.catalog.catalog import Catalog


def dataset_assets(catalog: Catalog) -> list[AssetSpec]:
    """One external asset `datasets/<id>` for each dataset; one with an `asset_key` of its own is the user's to define."""
    return [
        AssetSpec(
            dataset_key(catalog, dataset_id),
            group_name=DATASETS,
            kinds={dataset.source.format},
            tags={"cdp/dataset": dataset_id, "cdp/role": dataset.role},
            description=dataset.description,
            owners=dataset.owners,
            metadata={"dagster/uri": dataset.source.uri, **({"cdp/key": ", ".join(dataset.key)} if dataset.key else {})},
        )
        for dataset_id, dataset in catalog.datasets.items()
        if dataset.asset_key is None
    ]
