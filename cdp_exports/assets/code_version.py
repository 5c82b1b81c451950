"""The code version of an asset: a hash of all that is declared of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator

from pydantic import BaseModel

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.entities.segment import Segment


def declaration_hash(declared: Iterable[BaseModel]) -> str:
    """Changes whenever something of this changes; secrets are in it by name only."""
    plain = [part.model_dump(mode="json") for part in declared]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


def with_parts(catalog: Catalog, segment_id: str) -> Iterator[Segment]:
    """A segment and, below set operations, the segments it is made of."""
    segment = catalog.segments[segment_id]
    yield segment
    for part in segment.parts:
        yield from with_parts(catalog, part)
