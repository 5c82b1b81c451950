"""What columns of the rows of one SELECT tell about the rest of them.

A dataset's key tells all its columns, an equality in a join or a condition the other side, what a SELECT is grouped by its groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sqlglot import exp
    from sqlglot.optimizer.scope import Scope

Keys = Mapping[str, Collection[str]]
"""By dataset its key columns, as declared."""

Name = tuple[str, str]
"""The alias of a table in the query, and a column."""


@dataclass
class Rows:
    """The rows of one qualified SELECT. `inner`: those of the selects that were traversed before it, by the id of their scope."""

    scope: Scope
    keys: Keys
    inner: Mapping[int, Rows]

    @property
    def select(self) -> Any:
        return self.scope.expression

    def told(self, terms: Iterable[exp.Expr]) -> Told:
        """What is told by these."""
        meant = [part for term in terms for part in _parts(self.meant(term))]
        return Told(self, self.closed({column for term in meant if (column := bare(term))}), frozenset(term.sql() for term in meant))

    def meant(self, term: exp.Expr) -> Any:
        """What stands behind the name of an output."""
        from sqlglot import exp

        if isinstance(term, exp.Column) and not term.table:
            found = next((one for one in self.select.expressions if one.alias_or_name.lower() == term.name.lower()), term)
            return found.unalias()
        return term

    @cached_property
    def tables(self) -> frozenset[str]:
        return frozenset(self.scope.selected_sources)

    @cached_property
    def read(self) -> frozenset[Name]:
        """All that is read of its tables: rows that are alike in it are alike."""
        columns = {column for one in self.scope.columns if (column := bare(one))}
        return frozenset(column for column in columns if column[0] in self.tables)

    @cached_property
    def grouping(self) -> list[Any]:
        group = self.select.args.get("group")
        if group is not None and group.args.get("all"):
            return [one.unalias() for one in self.select.expressions if not _aggregates(one)]
        return [self.meant(one) for one in group.expressions] if group is not None else []

    @cached_property
    def constant(self) -> list[Any]:
        """What is the same for all rows of a group."""
        group = self.select.args.get("group")
        several = group is not None and any(group.args.get(name) for name in ("grouping_sets", "cube", "rollup"))
        return [] if several else self.grouping

    def closed(self, known: Collection[Name]) -> frozenset[Name]:
        """Columns with all that they tell; those of a query around this one are the same for all its rows."""
        found = {*known} | {one for pair in self._equal for one in pair if one[0] not in self.tables}
        while True:
            more = {b for a, b in self._equal if a in found}
            for table, several in self.unique_by_table.items():
                if any({(table, column) for column in unique} <= found for unique in several):
                    more |= {column for column in self.read if column[0] == table}
            if more <= found:
                return frozenset(found)
            found |= more

    @cached_property
    def _equal(self) -> list[tuple[Name, Name]]:
        """Pairs of which the first tells the second. An outer join's other side is null for some rows, and null tells nothing."""
        from sqlglot import exp

        joins = self.select.args.get("joins") or ()
        if any(join.side.upper() not in ("", "LEFT") for join in joins):
            return []
        conditions: list[tuple[Any, str]] = [(self.select.args["where"].this, "")] if self.select.args.get("where") else []
        conditions += [(join.args["on"], join.alias_or_name if join.side else "") for join in joins if join.args.get("on")]
        pairs: list[tuple[Name, Name]] = []
        for condition, joined in conditions:
            for one in condition.flatten() if isinstance(condition, exp.And) else [condition]:
                if isinstance(one, exp.EQ) and (left := bare(one.this.unnest())) and (right := bare(one.expression.unnest())):
                    pairs += [(a, b) for a, b in ((left, right), (right, left)) if joined in ("", b[0])]
        return pairs

    @cached_property
    def unique_by_table(self) -> dict[str, list[frozenset[str]]]:
        """By table, sets of its columns that tell its rows apart."""
        return {name: self._unique_of(source) for name, (_, source) in self.scope.selected_sources.items()}

    def _unique_of(self, source: Any) -> list[frozenset[str]]:
        from sqlglot import exp

        if isinstance(source, exp.Table):
            key = self.keys.get(source.name.lower(), ())
            return [frozenset(name.lower() for name in key)] if key else []
        if isinstance(source.expression, exp.SetOperation):
            distinct = source.expression.args.get("distinct")
            return [frozenset(name.lower() for name in source.expression.named_selects)] if distinct else []
        return self.inner[id(source)].unique if id(source) in self.inner else []

    @cached_property
    def unique(self) -> list[frozenset[str]]:
        """Sets of outputs that tell its rows apart, but for rows that are alike in all that is read."""
        outputs = {one.alias_or_name.lower(): one.unalias() for one in self.select.expressions}
        distinct = self.select.args.get("distinct")
        if distinct is not None and not distinct.args.get("on"):
            return [frozenset(outputs)]
        if self.select.args.get("group"):
            named = {one.sql(): name for name, one in outputs.items()}
            texts = {one.sql() for one in self.grouping}
            return [frozenset(named[text] for text in texts)] if self.constant and texts <= set(named) else []
        if any(_aggregates(one) for one in outputs.values()):
            return [frozenset()]  # one row
        names = {column: name for name, one in outputs.items() if (column := bare(one))}
        every = [[(table, unique) for unique in several] for table, several in self.unique_by_table.items()]
        combined = [[one] for several in every for one in several] + [list(one) for one in product(*every)]
        found = [{(table, column) for table, unique in combination for column in unique} for combination in combined]
        return [frozenset(names[one] for one in columns) for columns in found if columns <= {*names} and self.read <= self.closed(columns)]


@dataclass(frozen=True)
class Told:
    """Columns that are told, and the SQL of expressions that are."""

    rows: Rows
    columns: frozenset[Name]
    texts: frozenset[str]

    def tells(self, one: exp.Expr) -> bool:
        from sqlglot import exp

        one = one.unalias()
        if one.sql() in self.texts:
            return True
        if isinstance(one, exp.Column):
            return bare(one) in self.columns or one.table not in self.rows.tables
        if isinstance(one, exp.Window):
            return self.tells_rows()
        if isinstance(one, exp.AggFunc):
            return all(map(self.tells, self.rows.grouping))
        if isinstance(one, exp.Query):
            return all(map(self.tells, one.find_all(exp.Column)))
        return all(map(self.tells, one.iter_expressions()))

    def tells_rows(self) -> bool:
        """Whether rows (groups, where they are grouped) that this does not tell apart are alike."""
        if self.rows.select.args.get("group"):
            return all(map(self.tells, self.rows.grouping))
        return self.rows.read <= self.columns

    def lacking(self, *, groups: bool) -> Iterator[Name]:
        """Columns that would tell the rest: keys, and of tables without one whatever is read of them; `groups`: those of groups."""
        if groups and self.rows.grouping:
            yield from (column for one in self.rows.grouping if (column := bare(one)) and column not in self.columns)
            return
        found = self.columns
        for table, several in self.rows.unique_by_table.items():
            own = {column for column in self.rows.read if column[0] == table}
            if not own <= found:
                more = sorted(({(table, column) for column in several[0]} if several else own) - found)
                yield from more
                found = self.rows.closed({*found, *more})


def bare(one: Any) -> Name | None:
    """The column that an expression is."""
    from sqlglot import exp

    return (one.table, one.name.lower()) if isinstance(one, exp.Column) and one.table else None


def _parts(one: Any) -> Iterator[Any]:
    """Rows and structs tell what they are made of."""
    from sqlglot import exp

    one = one.unnest()
    if isinstance(one, (exp.Tuple, exp.Struct)) or (isinstance(one, exp.Anonymous) and one.name.lower() == "row"):
        for part in one.expressions:
            yield from _parts(part.expression if isinstance(part, exp.PropertyEQ) else part)
    else:
        yield one


def _aggregates(one: exp.Expr) -> bool:
    from sqlglot import exp

    return any(not isinstance(call.parent, (exp.Window, exp.IgnoreNulls, exp.RespectNulls)) for call in one.find_all(exp.AggFunc))
