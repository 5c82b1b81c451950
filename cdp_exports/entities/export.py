"""An export: what goes where, how and when."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.file_format import Format, ParquetFormat
from cdp_exports.entities.model import Declared, Id, Owner, Several, each_once
from cdp_exports.entities.templates import check_file_name, check_path


class DatasetExport(Declared):
    """Datasets delivered to a connection, in full or incrementally."""

    kind: Literal["dataset"]
    """What is exported."""

    connection: Id
    """Where to."""

    datasets: Annotated[Several[Id], Field(min_length=1)]
    """The members; each is one delivery per export time."""

    mode: Literal["incremental", "full"] = "incremental"
    """`incremental`: the first delivery is the whole dataset, each later one what changed since. `full`: the whole, always."""

    changes: Literal["added", "all"] = "added"
    """`added`: rows whose key was not there before. `all`: also updated and deleted rows, told apart by `_change_type`."""

    format: Format = ParquetFormat()
    """How files are written; default: Parquet with zstd."""

    path: str = "{dataset_id}/exportTime={export_time}"
    """The delivery's folder below the connection's."""

    file_name: str = "part-{index}-{delivery}-{attempt}"
    """The files' names without their extension."""

    on_history_lost: Literal["fail", "full"] = "fail"
    """What to do when the source no longer has the history: fail and say so, or deliver the whole dataset."""

    on_change: Literal["full", "fail"] = "full"
    """What to do when a change of this declaration starts a new chain: deliver the whole dataset, or refuse."""

    schedule: Cadence | None = None
    """When; without it on demand only."""

    active: bool = True
    """Whether the schedule is on by default; its toggle in Dagster is the truth afterwards."""

    description: str | None = None
    """Shown in Dagster."""

    owners: Several[Owner] = ()
    """E-mail addresses or `team:name`; shown in Dagster."""

    formerly: Id | None = None
    """The id it had before: chains go on through the rename."""

    @property
    def members(self) -> tuple[str, ...]:
        return self.datasets

    @field_validator("datasets")
    @classmethod
    def _each_dataset_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(value)

    @field_validator("changes")
    @classmethod
    def _only_increments_have_changes(cls, value: str, info: ValidationInfo) -> str:
        if value == "all" and info.data.get("mode") == "full":
            raise ValueError("`changes: all` has no meaning with `mode: full`, which delivers no changes; leave one of them out")
        return value

    @field_validator("path")
    @classmethod
    def _a_folder(cls, value: str) -> str:
        return _refuse(value, check_path(value))

    @field_validator("file_name")
    @classmethod
    def _a_file_name(cls, value: str) -> str:
        return _refuse(value, check_file_name(value))


def _refuse(template: str, problems: list[str]) -> str:
    if "{segment_id}" in template:
        problems = [*problems, "{segment_id} belongs to segment exports; write {dataset_id}"]
    if problems:
        raise ValueError("; ".join(problems))
    return template
