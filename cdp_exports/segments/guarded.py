"""A dataset of which only some rows may leave: delivered like a segment of everybody, so that who withdraws consent is told apart."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.mapping import Field, Status
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.audience import Audience
from cdp_exports.segments.binding import quoted
from cdp_exports.segments.compile import compile_audience

CHANGES = Status(column="_change_type", entered="insert", updated="update", exited="delete", reason="_change_reason")
"""As changes of a dataset are told apart; a withdrawn consent is a delete, and `_change_reason` says so."""


def compile_guarded(
    dataset_id: str, datasets: Mapping[str, Dataset], export: DatasetExport, connection: Connection, capabilities: Capabilities
) -> Audience:
    """The declared columns of a dataset's rows, of people who grant the connection's purpose and are on none of its lists.

    Raises:
        CompileProblems: the dataset declares no columns or no such consent.
    """
    columns = datasets[dataset_id].columns
    like_a_segment = SegmentExport(
        kind="segment",
        connection=export.connection,
        segments=(dataset_id,),
        fields=tuple(Field.model_validate({"from": quoted(name), "to": name}) for name in columns),
        format=export.format,
        mode=export.mode,
        send=("entered", "updated", "exited") if export.changes == "all" else ("entered",),
        status=CHANGES if export.changes == "all" else None,
    )
    everybody = {dataset_id: Segment(of=dataset_id, where="true")}
    return compile_audience(dataset_id, everybody, datasets, like_a_segment, connection, capabilities)
