"""Rules between objects, in one place; each stands in a file of its subject."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from itertools import chain

from cdp_exports.catalog.audiences import misdirected
from cdp_exports.catalog.capacity import beyond_capacity
from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.consent import idle_consent, unknown_consent
from cdp_exports.catalog.contracts import kept_contracts, read_contracts
from cdp_exports.catalog.eligibility import ineligible_exports, ineligible_segments
from cdp_exports.catalog.finding import Finding, of_dataset, of_segment
from cdp_exports.catalog.folders import shared_folders, state_among_deliveries
from cdp_exports.catalog.model_json import not_describable
from cdp_exports.catalog.public_keys import unusable_keys
from cdp_exports.catalog.references import Names, cycles, sound
from cdp_exports.catalog.shared_audiences import shared_audiences
from cdp_exports.catalog.sql import wrong_sql
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.export import DatasetExport, SegmentExport
from cdp_exports.entities.segment import Segment


def check(catalog: Catalog, names: Names) -> Iterator[Finding]:
    """All broken rules between the objects of a catalog, references that lead nowhere aside; each once.

    `names`: by folder, the ids of all files, also of those whose content is wrong.
    """
    segments, too_large = sound(catalog.segments, catalog.datasets)
    rules = (
        _renames("datasets", catalog.datasets, names["datasets"]),
        _renames("segments", catalog.segments, names["segments"]),
        _renames("exports", catalog.exports, names["exports"]),
        _asset_keys(catalog.datasets),
        _table_names(catalog.segments, names["datasets"]),
        shared_folders(catalog),
        shared_audiences(catalog),
        state_among_deliveries(catalog),
        beyond_capacity(catalog),
        misdirected(catalog),
        not_describable(catalog),
        unusable_keys(catalog),
        kept_contracts(catalog.datasets),
        idle_consent(catalog),
        cycles(catalog.segments),
        too_large,
        read_contracts(catalog, segments),
        ineligible_segments(catalog, segments),
        ineligible_exports(catalog, segments),
        unknown_consent(catalog, segments),
    )
    found = dict.fromkeys(chain.from_iterable(rules))
    yield from found
    yield from dict.fromkeys(wrong_sql(catalog, segments, names["datasets"], found))


def _renames(
    folder: str, objects: Mapping[str, Dataset | Segment | DatasetExport | SegmentExport], names: Collection[str]
) -> Iterator[Finding]:
    claimed: dict[str, str] = {}
    for name, declared in objects.items():
        old = declared.formerly
        if old is None:
            continue
        file = f"{folder}/{name}.yaml"
        if old in names:
            yield Finding(file, ("formerly",), f"`formerly`: {old!r} is still here; only an id that is gone can have been renamed.")
        elif old in claimed:
            yield Finding(file, ("formerly",), f"`formerly`: {claimed[old]!r} was formerly {old!r} already; only one can be.")
        claimed.setdefault(old, name)


def _asset_keys(datasets: Mapping[str, Dataset]) -> Iterator[Finding]:
    taken: dict[tuple[str, ...], str] = {("datasets", name): name for name, dataset in datasets.items() if dataset.asset_key is None}
    for name, dataset in datasets.items():
        if dataset.asset_key is not None and (other := taken.setdefault(dataset.asset_key, name)) != name:
            key = "/".join(dataset.asset_key)
            yield of_dataset(name, ("asset_key",), f"`asset_key`: the dataset {other!r} has {key!r} already; each needs its own.")


def _table_names(segments: Mapping[str, Segment], datasets: Collection[str]) -> Iterator[Finding]:
    for name in segments:
        if name in datasets:
            yield of_segment(name, (), f"There is a dataset {name!r} too; in SQL both would be the table of that name. Rename one of them.")
