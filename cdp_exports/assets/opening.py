"""What a step opens the world with."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from dagster import DagsterInstance

from cdp_exports.assets.ledger import open_ledger
from cdp_exports.assets.resources import DestinationResource
from cdp_exports.assets.state import open_state
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.delivery.context import Context, Progress, silent

if TYPE_CHECKING:
    from cdp_exports.destinations.audience import AudienceDestination
    from cdp_exports.destinations.destination import FileDestination
    from cdp_exports.sources.source import Source


def step_context(
    catalog: Catalog, instance: DagsterInstance, resources: Mapping[str, DestinationResource], progress: Progress = silent
) -> Context:
    """The context of a delivery. `resources`: those the step asked for, by connection.

    Raises:
        DeclarationError, TransientError, LedgerNewer: as `open_ledger`.
    """

    def open_dataset(dataset_id: str) -> Source:
        from cdp_exports.sources.open import open_source

        return open_source(catalog.datasets[dataset_id], catalog.root, os.environ)

    def open_connection(connection_id: str) -> FileDestination:
        if connection_id in resources:
            return cast("FileDestination", resources[connection_id].open())
        from cdp_exports.destinations.open import open_files

        # where a delivery was begun before the export moved to another connection
        return open_files(catalog.connections[connection_id], catalog.root, os.environ)

    def open_members(connection_id: str) -> AudienceDestination:
        if connection_id in resources:
            return cast("AudienceDestination", resources[connection_id].open())
        from cdp_exports.destinations.open import open_audience

        return open_audience(catalog.connections[connection_id], catalog.root, os.environ)

    return Context(
        catalog=catalog,
        ledger=open_ledger(catalog.environment, instance),
        open_source=open_dataset,
        open_destination=open_connection,
        open_audience=open_members,
        open_state=lambda: open_state(catalog, instance),
        progress=progress,
    )
