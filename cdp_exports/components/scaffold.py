"""What `dg scaffold defs` writes: the component and the smallest catalog that loads."""

from __future__ import annotations

from typing import Any

from dagster import Scaffolder, ScaffoldRequest

_FILES = {
    "environment.yaml": "# Who we are; the name stands in every delivery.\nname: main\n",
    "connections/outbox.yaml": (
        "# Where to: a folder on this machine. `cdp-exports destinations` shows the other types.\ntype: local\nfolder: outbox\n"
    ),
    "datasets/orders.yaml": (
        "# A source table. Paths count from the folder that holds the catalog.\n"
        "source: {format: delta, uri: data/orders}\n"
        "key: [order_id]\n"
    ),
    "exports/orders_to_outbox.yaml": (
        "# What goes where. Without a schedule it runs on demand.\n"
        "kind: dataset\n"
        "connection: outbox\n"
        "datasets: [orders]\n"
        "mode: incremental\n"
        "format: {type: parquet}\n"
    ),
}


class CatalogScaffolder(Scaffolder[Any]):
    """Writes defs.yaml (or component.py) and, beside it, a catalog to start from."""

    def scaffold(self, request: ScaffoldRequest[Any]) -> None:
        from dagster import scaffold_component

        scaffold_component(request, {"catalog": "catalog"})
        for name, text in _FILES.items():
            path = request.target_path / "catalog" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
