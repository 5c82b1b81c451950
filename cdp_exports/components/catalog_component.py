"""A catalog of exports inside somebody else's Dagster project."""

from __future__ import annotations

from dagster import Component, ComponentLoadContext, Definitions, Model, Resolvable, scaffold_with
from pydantic import Field

from cdp_exports.components.scaffold import CatalogScaffolder


@scaffold_with(CatalogScaffolder)
class CdpExportsComponent(Component, Model, Resolvable):
    """The exports of a catalog: assets, schedules, sensors and resources."""

    catalog: str = Field(default="catalog", description="The catalog's folder, relative to the folder of this file.")

    def build_defs(self, context: ComponentLoadContext) -> Definitions:
        """The catalog's definitions; the project keeps its own executor."""
        from cdp_exports.definitions import build_definitions

        return build_definitions(context.path / self.catalog)
