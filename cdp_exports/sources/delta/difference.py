"""The difference by files: those of one version that the other lacks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from cdp_exports.sources.delta.files import DataFile, from_action
from cdp_exports.sources.delta.log import Commit, FileAction
from cdp_exports.sources.delta.plan import Piece, Plan
from cdp_exports.sources.delta.rearrangement import rearrangements
from cdp_exports.sources.delta.schema import Layout
from cdp_exports.sources.delta.snapshot import Snapshot


def file_difference(after: Snapshot, upto: Snapshot, commits: Sequence[Commit | None]) -> Plan | None:
    """The plan; None where Polars cannot read the files of a version.

    `commits` are those in between; where one is gone, rewritten files are read on both sides and cancel out.
    """
    if not (after.layout.native and upto.layout.native):
        return None
    known = [commit for commit in commits if commit is not None]
    rearranged = _rearranged(after, upto, known) if len(known) == len(commits) else set[str]()
    minus = _lacking(after.files, upto.files, rearranged)
    plus = _lacking(upto.files, after.files, rearranged)
    return Plan([Piece(minus, after.layout)], [Piece(plus, upto.layout)])


def _lacking(these: Mapping[str, DataFile], those: Mapping[str, DataFile], rearranged: set[str]) -> list[DataFile]:
    """The files, or rows of files, of `these` that `those` does not have."""
    lacking: list[DataFile] = []
    for location, file in these.items():
        if location in rearranged:
            continue
        other = those.get(location)
        if other is None:
            lacking.append(file)
        elif other.deleted is not None:
            positions = other.deleted if file.deleted is None else other.deleted.filter(~other.deleted.is_in(file.deleted.implode()))
            if positions.len():
                lacking.append(replace(file, deleted=None, only=positions))
    return lacking


def _rearranged(after: Snapshot, upto: Snapshot, commits: Sequence[Commit]) -> set[str]:
    """Files whose rows were only moved between files (OPTIMIZE, Z-order).

    Files that one such commit removed and added in one partition share their rows. Files connected in that way,
    none of which a data change added or removed, hold the same rows before and after: none of them need be read.
    Where one of the exchanges does not add up, as of rows added under the name of a rearrangement, all are read.
    """
    files = {**upto.files, **after.files}  # partition values of a removed file stand surely only where it was added
    layout = after.layout
    parent: dict[str, str] = {}

    def root(location: str) -> str:
        while (up := parent.setdefault(location, location)) != location:
            location = up
        return location

    changed: set[str] = set()
    for commit in commits:
        layout = layout if commit.metadata is None else Layout.of(commit.metadata)
        files.update((add.location, from_action(add, layout)) for add in commit.adds if add.location not in files)
        for group in rearrangements(_moved(commit.removes, files), _moved(commit.adds, files)):
            locations = [file.location for file in (*group.removed, *group.added)]
            for location in locations:
                parent[root(location)] = root(locations[0])
            if not group.adds_up:
                changed.update(locations)
        changed.update(action.location for action in (*commit.adds, *commit.removes) if action.data_change)
    touched = {root(location) for location in changed if location in parent}
    return {location for location in list(parent) if root(location) not in touched}


def _moved(actions: Iterable[FileAction], files: Mapping[str, DataFile]) -> list[DataFile]:
    return [files[action.location] for action in actions if not action.data_change and action.location in files]
