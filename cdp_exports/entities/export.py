"""An export: what goes where, how and when."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, TypeAdapter, ValidationInfo, field_validator, model_validator

from cdp_exports.entities import mapping, model_json
from cdp_exports.entities.cadence import Cadence
from cdp_exports.entities.file_format import CsvFormat, Format, ParquetFormat
from cdp_exports.entities.layouts import LayoutName, completed
from cdp_exports.entities.macros import translated
from cdp_exports.entities.mapping import Limits, Projection, Status
from cdp_exports.entities.model import Declared, Id, Owner, Several, Word, each_once
from cdp_exports.entities.presets import PresetName
from cdp_exports.entities.templates import check_audience_name, check_file_name, check_path, holds_time

_SHAPE = {"kind", "mode", "changes", "format", "path", "overwrite"}


class _Export(Declared):
    other_subject: ClassVar[str] = ""  # the template variable of the other kind, and this kind's own
    own_subject: ClassVar[str] = ""

    connection: Id
    """Where to."""

    mode: Literal["incremental", "full"] = "incremental"
    """`incremental`: the first delivery is everything, each later one what changed since. `full`: everything, always."""

    layout: LayoutName = "default"
    """Whose folders, file names and format are the defaults: our own, or those of Adobe Experience Platform or Dynamics 365 Customer
    Insights. What stands here beside it wins."""

    path: str
    """The delivery's folder below the connection's."""

    file_name: str = "part-{index}-{delivery}-{attempt}"
    """The files' names without their extension."""

    overwrite: bool = False
    """Deliveries may replace each other's files under the same names: neither `path` nor `file_name` holds the whole export time."""

    model_json: bool = False
    """Describe what was delivered in a `model.json` of the Common Data Model, in the folder that the members share."""

    on_history_lost: Literal["fail", "full"] = "fail"
    """What to do when what the increment needs is gone: fail and say so, or deliver everything."""

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

    @model_validator(mode="before")
    @classmethod
    def _with_defaults_of_its_layout(cls, value: object) -> object:
        return completed(value)

    @field_validator("path")
    @classmethod
    def _a_folder(cls, value: str) -> str:
        template = translated(value)
        return cls._refuse(template, check_path(template))

    @field_validator("file_name")
    @classmethod
    def _a_file_name(cls, value: str) -> str:
        template = translated(value)
        return cls._refuse(template, check_file_name(template))

    @model_validator(mode="after")
    def _deliveries_stand_apart(self) -> Self:
        names = f"{self.path}/{self.file_name}"
        if not holds_time(names) and not self.overwrite:
            raise ValueError(
                "deliveries would share a folder and their files the names: put {export_time} (or all of {year}, {month}, {day}, {hour} and"
                " {minute}) into `path` or `file_name`, or let each delivery replace the one before: `overwrite: true` with a `file_name`"
            )
        if self.overwrite and holds_time(names):
            raise ValueError("`overwrite` has no meaning where `path` or `file_name` holds the export time; leave one of them out")
        if self.overwrite and any(unique in self.file_name for unique in ("{delivery}", "{attempt}")):
            raise ValueError("`overwrite` needs a `file_name` that is always the same, for example `file_name: latest`")
        return self

    @model_validator(mode="after")
    def _can_be_described(self) -> Self:
        if self.model_json and (found := model_json.problems(self.model_dump(mode="json", include=_SHAPE))):
            raise ValueError(f"`model_json`: {'; '.join(found)}")
        return self

    @classmethod
    def _refuse(cls, template: str, problems: list[str]) -> str:
        if f"{{{cls.other_subject}}}" in template:
            problems = [*problems, f"{{{cls.other_subject}}} belongs to the other kind of export; write {{{cls.own_subject}}}"]
        if problems:
            raise ValueError("; ".join(problems))
        return template


class DatasetExport(_Export):
    """Datasets delivered to a connection, in full or incrementally."""

    own_subject: ClassVar[str] = "dataset_id"
    other_subject: ClassVar[str] = "segment_id"

    kind: Literal["dataset"]
    """What is exported."""

    datasets: Annotated[Several[Id], Field(min_length=1)]
    """The members; each is one delivery per export time."""

    changes: Literal["added", "all"] = "added"
    """`added`: rows whose key was not there before. `all`: also updated and deleted rows, told apart by `_change_type`."""

    consent: Literal["required"] | None = None
    """`required`: only rows of people who grant the connection's purpose, and who are on none of its lists."""

    format: Format = ParquetFormat()
    """How files are written; default: Parquet with zstd."""

    path: str = "{dataset_id}/exportTime={export_time}"
    """The delivery's folder below the connection's."""

    on_change: Literal["full", "fail"] = "full"
    """What to do when a change of this declaration starts a new chain: deliver the whole dataset, or refuse."""

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


class SegmentExport(_Export):
    """Segments delivered to a connection: their members with the mapped fields, in full or incrementally."""

    own_subject: ClassVar[str] = "segment_id"
    other_subject: ClassVar[str] = "dataset_id"

    kind: Literal["segment"]
    """What is exported."""

    segments: Annotated[Several[Id], Field(min_length=1)]
    """The members; each is one delivery per export time."""

    preset: PresetName | None = None
    """The e-mail marketing tool whose import job reads the files: its folder, file names and format are the defaults."""

    fields: Several[mapping.Field] = ()
    """The columns of the files, in this order, behind the key."""

    include_key: bool = True
    """Whether the files begin with the dataset's key columns (of contacts too, where they are exploded). Without them members
    who leave are told by fields marked `identity` alone; one of these is `required`."""

    dots: Literal["keep", "underscore"] = "keep"
    """What becomes of a dot in a column's name."""

    project: Projection | None = None
    """For segments of accounts: send their contacts."""

    dedupe_by: Several[Word] = ()
    """SQL expressions over the member's columns; of the members that are equal in all of them one is sent. Nulls are never equal.
    Default without the key: the fields marked `identity`, as they are sent."""

    newest_by: Word | None = None
    """Which of them: the one with the greatest value of this SQL expression; ties and default: the smallest key."""

    send: Annotated[Several[Literal["entered", "updated", "exited"]], Field(min_length=1)] = ("entered", "updated", "exited")
    """What an incremental delivery sends."""

    status: Status | None = Status()
    """The column that tells them apart; null: none, and no exits then."""

    limits: Limits = Limits()
    """How much may be sent."""

    audience_name: Word = "{segment_id}"
    """How a segment's audience is called, where the destination holds audiences."""

    fail_above: Annotated[float, Field(ge=0, le=1)] = 0.05
    """The part of a delivery's members that an audience destination may reject; above it the delivery fails. Those that were rejected
    last time already are not counted."""

    format: Format = CsvFormat(type="csv")
    """How files are written; default: CSV with gzip."""

    path: str = "{segment_id}/exportTime={export_time}"
    """The delivery's folder below the connection's."""

    on_change: Literal["full", "difference", "fail"] = "full"
    """What to do when a change of the segment or of this declaration starts a new chain: deliver everybody, send the difference to
    what the receiver holds (the chain goes on), or refuse."""

    @property
    def members(self) -> tuple[str, ...]:
        return self.segments

    @property
    def tells_by_identity(self) -> bool:
        """Whether the receiver is told who left by their identity alone."""
        return self.mode == "incremental" and "exited" in self.send and not self.include_key

    @field_validator("segments")
    @classmethod
    def _each_segment_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(value)

    @field_validator("audience_name")
    @classmethod
    def _an_audience_name(cls, value: str) -> str:
        return cls._refuse(value, check_audience_name(value))

    @field_validator("send")
    @classmethod
    def _each_status_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return each_once(value)

    @model_validator(mode="after")
    def _one_source_of_defaults(self) -> Self:
        if self.preset is not None and self.layout != "default":
            raise ValueError("`preset` and `layout` both say how files arrive; leave one of them out")
        return self

    @model_validator(mode="after")
    def _members_can_be_told(self) -> Self:
        if self.mode == "incremental" and "exited" in self.send:
            if self.status is None:
                raise ValueError("without `status` nobody can tell who left; leave `exited` out of `send`, or declare `status`")
            if self.tells_by_identity and not any(field.identity for field in self.fields):
                raise ValueError("without the key, members who leave need a field with `identity: true`")
        if not self.include_key and not self.fields:
            raise ValueError("without the key and without `fields` there is nothing to send")
        if self.newest_by is not None and not self.dedupe_by and not self.tells_by_identity:
            raise ValueError("`newest_by` goes with `dedupe_by`")
        return self


Export = Annotated[DatasetExport | SegmentExport, Field(discriminator="kind")]

EXPORT: TypeAdapter[Export] = TypeAdapter(Export)
"""Reads an export from plain data."""

__all__ = ["EXPORT", "DatasetExport", "Export", "SegmentExport"]
