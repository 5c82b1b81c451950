"""Which column a name in a scalar expression means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from cdp_exports.entities.nearest import nearest
from cdp_exports.segments.audience import Columns
from cdp_exports.segments.problems import SqlProblem

if TYPE_CHECKING:
    from sqlglot import exp


@dataclass(frozen=True)
class Scope:
    """The tables that an expression may read; names are not case-sensitive, as in DuckDB."""

    tables: Mapping[str, Mapping[str, str]]

    @cached_property
    def _columns(self) -> dict[str, list[tuple[str, str]]]:
        found: dict[str, list[tuple[str, str]]] = {}
        for table, columns in self.tables.items():
            for column in columns:
                found.setdefault(column.lower(), []).append((table, column))
        return found

    @cached_property
    def _in_table(self) -> dict[tuple[str, str], tuple[str, str]]:
        return {(table.lower(), column.lower()): (table, column) for table, columns in self.tables.items() for column in columns}

    def find(self, names: list[str]) -> tuple[str, str, list[str]]:
        """The table and column that dotted names mean, and the names of fields within it that are left.

        Raises:
            SqlProblem: none, or several.
        """
        first, *rest = names
        table = next((table for table in self.tables if table.lower() == first.lower()), None)
        if rest and table is not None and (found := self._in_table.get((table.lower(), rest[0].lower()))):
            return *found, rest[1:]
        found = self._columns.get(first.lower(), [])
        if len(found) == 1:
            return *found[0], rest
        if found:
            owners = [owner for owner, _ in found]
            raise SqlProblem(f"Column {first!r} is ambiguous: {' and '.join(owners)} have one; write {owners[0]}.{first}.")
        if rest and table is not None:
            raise SqlProblem(f"There is no column {rest[0]!r} in {table}{nearest(rest[0], self.tables[table])}.")
        if rest:
            known = " and ".join(self.tables)
            raise SqlProblem(f"There is no table {first!r} here{nearest(first, self.tables) or f'; columns of {known} can be read'}.")
        where = " or ".join(self.tables)
        columns = {column for columns in self.tables.values() for column in columns}
        raise SqlProblem(f"There is no column {first!r}{f' in {where}' if where else ''}{nearest(first, columns)}.")

    def qualify(self, tree: exp.Expr) -> tuple[exp.Expr, Columns]:
        """The tree with qualified columns, and which these are.

        Raises:
            SqlProblem: a name means no column, or several.
        """
        from sqlglot import exp

        read: set[tuple[str, str]] = set()
        for node in list(tree.walk()):
            if isinstance(node, exp.Dot) and isinstance(node.this, exp.Identifier) and isinstance(node.expression, exp.Func):
                call = node.expression.name or node.expression.sql_name().lower()
                raise SqlProblem(f"Write {call}({node.this.name}), not {node.this.name}.{call}().")
            if isinstance(node, (exp.Star, exp.Columns)) and not isinstance(node.parent, exp.Count):
                raise SqlProblem("One value is needed here, and `*` stands for several; name the column.")
            if isinstance(node, (exp.Placeholder, exp.Parameter)):
                raise SqlProblem("Parameters have no value here.")
            if not isinstance(node, exp.Column) or _is_local(node):
                continue
            table, column, fields = self.find([part.name for part in node.parts])
            read.add((table, column))
            qualified: exp.Expr = exp.column(column, table=table, quoted=True)
            for field in fields:
                qualified = exp.Dot(this=qualified, expression=exp.to_identifier(field, quoted=True))
            if node is tree:
                tree = qualified
            else:
                node.replace(qualified)
        return tree, frozenset(read)


def _is_local(column: exp.Column) -> bool:
    """Whether it is the variable of a list comprehension around it."""
    from sqlglot import exp

    above = column.find_ancestor(exp.Comprehension)
    while above is not None:
        if above.expression.name.lower() == column.parts[0].name.lower():
            return True
        above = above.find_ancestor(exp.Comprehension)
    return False
