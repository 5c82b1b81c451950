"""One segment as one export sends it: declarations become checked SQL, and all that is wrong is found at once."""

from __future__ import annotations

from collections.abc import Mapping

from cdp_exports.entities.capabilities import Capabilities
from cdp_exports.entities.connection import Connection
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import SegmentExport
from cdp_exports.entities.segment import Segment
from cdp_exports.segments.audience import Audience, Expression
from cdp_exports.segments.declared import Findings, Tables
from cdp_exports.segments.definition import definition_of
from cdp_exports.segments.identity import identity_of, same_values
from cdp_exports.segments.mapped import mapped
from cdp_exports.segments.members import members_of, read_tables
from cdp_exports.segments.projection import contacts_of
from cdp_exports.segments.protection import consents_of, suppressions_of
from cdp_exports.segments.sql import expression, order
from cdp_exports.segments.ways import way_of


def compile_audience(
    segment_id: str,
    segments: Mapping[str, Segment],
    datasets: Mapping[str, Dataset],
    export: SegmentExport,
    connection: Connection,
    capabilities: Capabilities,
) -> Audience:
    """A segment of an export, checked. Whether it is eligible at all is another question.

    Raises:
        CompileProblems: all that is wrong with the segment, the export, its connection and the datasets they name.
    """
    findings = Findings()
    tables = Tables(datasets, findings)
    members = members_of(segment_id, segments, datasets, tables, findings)
    if members is None:
        findings.raise_any()
    assert members is not None
    contacts, of_contacts = None, frozenset[tuple[str, str]]()
    if export.project:
        projected = contacts_of(export.project, members.of, datasets, tables, findings)
        if projected is None:
            findings.raise_any()
        assert projected is not None
        contacts, of_contacts = projected
    enrichment = {part.segment: part.columns for part in members.parts if part.columns}
    of_account = {members.of: tables[members.of], **enrichment}
    scope = {**of_account, **({contacts.dataset: tables[contacts.dataset]} if contacts else {})}
    one_value = of_account if contacts and contacts.how == "arrays" else scope

    columns = mapped(export, members.of, members.key, contacts, scope, capabilities, findings)
    grouping: list[Expression] = []
    for index, text in enumerate(export.dedupe_by):
        with findings.within("export", None, "dedupe_by", index):
            grouping.append(expression(text, one_value))
    newest_by = keep_by = None
    if export.newest_by is not None:
        with findings.within("export", None, "newest_by"):
            newest_by = expression(export.newest_by, one_value)
    if export.limits.keep_by is not None:
        with findings.within("export", None, "limits", "keep_by"):
            keep_by = order(export.limits.keep_by, one_value)
    consents = consents_of(connection, export.connection, members.of, contacts, datasets, tables, findings)
    suppressions = suppressions_of(connection, export.connection, datasets, tables, scope, findings)
    key = frozenset((members.of, name) for name in members.key)
    of_rows = key | {(contacts.dataset, name) for name in contacts.key} if contacts and contacts.how == "explode" else key
    identity = identity_of(export, columns, of_rows, capabilities.members is None or capabilities.members.takes_key, findings)
    findings.raise_any()

    distinct = identity
    if not grouping or same_values(grouping, identity):
        grouping, distinct = list(identity), ()
    read = [members.membership.columns, *(part.reads for part in members.parts), *(field.expression.columns for field in columns.fields)]
    read += [one.columns for one in (*grouping, *consents, newest_by, keep_by) if one]
    read += [listed.matches.columns | {(listed.dataset, listed.column)} for listed in suppressions]
    read += [key, of_contacts]
    way, way_reason = way_of(
        full=export.mode == "full",
        membership=members.membership,
        parts=members.parts,
        fields=columns.fields,
        contacts=contacts,
        grouping=[*grouping, *([newest_by] if newest_by else [])],
        distinct=bool(distinct),
        consents=consents,
        suppressions=suppressions,
        truncates=export.limits.over == "truncate",
        sends_updates="updated" in export.send,
    )
    return Audience(
        segment=segment_id,
        of=members.of,
        key=members.key,
        key_names=columns.key_names,
        membership=members.membership,
        parts=members.parts,
        fields=columns.fields,
        contacts=contacts,
        dedupe_by=tuple(grouping),
        distinct_by=distinct,
        newest_by=newest_by,
        consents=consents,
        suppressions=suppressions,
        keep_by=keep_by.sql if keep_by else None,
        send=frozenset(export.send),
        status=columns.status,
        tables=read_tables(read, tables),
        way=way,
        way_reason=way_reason,
        definition=definition_of(export, members, columns, contacts, grouping, newest_by),
    )
