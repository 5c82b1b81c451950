"""A broken rule between objects."""

from __future__ import annotations

from dataclasses import dataclass

from cdp_exports.catalog.explain import At


@dataclass(frozen=True)
class Finding:
    """One broken rule: the object's file below the catalog, the path of the key, and what was expected."""

    file: str
    at: At
    message: str


def of_connection(name: str, at: At, message: str) -> Finding:
    return Finding(f"connections/{name}.yaml", at, message)


def of_dataset(name: str, at: At, message: str) -> Finding:
    return Finding(f"datasets/{name}.yaml", at, message)


def of_segment(name: str, at: At, message: str) -> Finding:
    return Finding(f"segments/{name}.yaml", at, message)


def of_export(name: str, at: At, message: str) -> Finding:
    return Finding(f"exports/{name}.yaml", at, message)
