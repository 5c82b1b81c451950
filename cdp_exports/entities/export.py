"""An export: what goes where, how and when."""

from __future__ import annotations

from typing import Literal

from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.file_format import Format, ParquetFormat
from cdp_exports.entities.model import Declared, Id


class DatasetExport(Declared):
    """Datasets delivered to a connection, in full or incrementally."""

    kind: Literal["dataset"]

    connection: Id
    datasets: tuple[Id, ...]
    """The members; each is one delivery per export time."""

    mode: Literal["incremental", "full"] = "incremental"
    """`incremental`: the first delivery is the whole dataset, each later one what changed since. `full`: the whole, always."""

    changes: Literal["added", "all"] = "added"
    """`added`: rows whose key was not there before. `all`: also updated and deleted rows, told apart by `_change_type`."""

    format: Format = ParquetFormat()

    path: str = "{dataset_id}/exportTime={export_time}"
    """The delivery's folder below the connection's."""

    file_name: str = "part-{index}-{delivery}-{attempt}"
    """The files' names without their extension."""

    on_history_lost: Literal["fail", "full"] = "fail"
    """What to do when the source no longer has the history: fail and say so, or deliver the whole dataset."""

    on_change: Literal["full", "fail"] = "full"
    """What to do when a change of this declaration starts a new chain: deliver the whole dataset, or refuse."""

    overwrite: bool = False
    """Allow deliveries to share one folder (a path without the export time): the newest replaces the one before."""

    schedule: Cadence | None = None
    """When; without it on demand only."""

    active: bool = True
    """Whether the schedule is on by default; its toggle in Dagster is the truth afterwards."""

    description: str | None = None
    owners: tuple[str, ...] = ()
    """E-mail addresses or `team:name`; shown in Dagster."""

    formerly: Id | None = None
    """The id it had before: chains go on through the rename."""

    @property
    def members(self) -> tuple[str, ...]:
        return self.datasets
