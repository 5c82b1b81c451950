"""A dataset's source."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.secret import Secret
from cdp_exports.sources.delta.table import DeltaTableSource
from cdp_exports.sources.source import Source


def open_source(dataset: Dataset, root: Path, environ: Mapping[str, str]) -> Source:
    """The source of a dataset; nothing is read yet. A relative path counts from `root`.

    Raises:
        DeclarationError: a secret that an option refers to is not set.
    """
    declared = dataset.source
    options = {name: value.reveal(environ) if isinstance(value, Secret) else value for name, value in declared.options.items()}
    uri = declared.uri if "://" in declared.uri else str((root / declared.uri).resolve())
    return DeltaTableSource(uri, options)
