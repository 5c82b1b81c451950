"""Which datasets each member of an export reads."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from cdp_exports.assets.exports import datasets_read
from cdp_exports.catalog.catalog import Catalog


@dataclass
class Reads:
    """Found when first asked for: of a segment it takes a look at its SQL, and every tick of a process asks the same."""

    catalog: Catalog
    found: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict[tuple[str, str], tuple[str, ...]])

    def of(self, export_id: str, member: str) -> tuple[str, ...]:
        """By one member."""
        if (export_id, member) not in self.found:
            self.found[export_id, member] = datasets_read(self.catalog, export_id, [member])
        return self.found[export_id, member]

    def of_all(self, export_id: str, members: Iterable[str]) -> tuple[str, ...]:
        """By any of these members."""
        return tuple(dict.fromkeys(dataset for member in members for dataset in self.of(export_id, member)))
