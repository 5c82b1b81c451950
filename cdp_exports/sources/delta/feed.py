"""The difference by the change data feed.

The files are planned here rather than by deltalake's `load_cdf`, which cannot read a feed with column mapping, or with
special characters in a partition value, and finds a missing file only when rows were already handed over.
https://github.com/delta-io/delta/blob/master/PROTOCOL.md#reader-requirements-for-adding-change-data-files
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cdp_exports.sources.delta.files import from_action
from cdp_exports.sources.delta.log import Commit, FileAction
from cdp_exports.sources.delta.plan import Piece, Plan
from cdp_exports.sources.delta.rearrangement import rearrangements
from cdp_exports.sources.delta.schema import Layout, unshown


def feed(commits: Sequence[Commit | None], layout: Layout, *, enabled: bool, upto: Layout) -> Plan | None:
    """The plan, None where a commit cannot be read through the feed, or its rows cannot be shown as `upto` has them.

    A commit without change files changed the rows of the files it added and removed, unless it only rearranged them.
    `layout` and `enabled` describe the table before the first of the commits.
    """
    minus: list[Piece] = []
    plus: list[Piece] = []
    for commit in commits:
        if commit is None:
            return None
        before = layout
        if commit.metadata is not None:
            layout = Layout.of(commit.metadata)
            if unshown(layout, upto):
                return None
            enabled = is_enabled(commit.metadata["configuration"])
        if not (enabled and before.native and layout.native):
            return None
        if not _only_moves(commit, before, layout):
            return None
        if commit.changes:
            minus.append(_piece(commit.changes, layout, ("delete", "update_preimage")))
            plus.append(_piece(commit.changes, layout, ("insert", "update_postimage")))
            continue
        removes = [action for action in commit.removes if action.data_change]
        adds = [action for action in commit.adds if action.data_change]
        if _lack_values(removes, before) or any(action.masked for action in (*removes, *adds)):
            return None  # the rows lie between two deletion vectors; the file difference knows both, and all values
        minus.append(_piece(removes, before))
        plus.append(_piece(adds, layout))
    return Plan(_merged(minus), _merged(plus))


def is_enabled(configuration: Mapping[str, str]) -> bool:
    return configuration.get("delta.enableChangeDataFeed", "false").lower() == "true"


def _only_moves(commit: Commit, before: Layout, layout: Layout) -> bool:
    """Whether what the commit says to be rearranged adds up; the feed knows no rows of it."""
    removes = [action for action in commit.removes if not action.data_change]
    adds = [action for action in commit.adds if not action.data_change]
    if _lack_values(removes, before):
        return False
    exchanged = rearrangements([from_action(action, before) for action in removes], [from_action(action, layout) for action in adds])
    return all(rearrangement.adds_up for rearrangement in exchanged)


def _lack_values(removes: Sequence[FileAction], layout: Layout) -> bool:
    """Whether an engine left out partition values of files it removed, as it may."""
    return any(layout.physical[name] not in action.partition for action in removes for name in layout.partitioned_by)


def _piece(actions: Sequence[FileAction], layout: Layout, change_types: tuple[str, ...] = ()) -> Piece:
    return Piece([from_action(action, layout) for action in actions], layout, change_types)


def _merged(pieces: Sequence[Piece]) -> list[Piece]:
    """Files that are read alike in one scan."""
    alike: dict[tuple[Layout, tuple[str, ...]], list[Piece]] = {}
    for piece in pieces:
        alike.setdefault((piece.layout, piece.change_types), []).append(piece)
    return [Piece([file for piece in group for file in piece.files], *how) for how, group in alike.items()]
