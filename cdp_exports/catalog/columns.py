"""The columns of a dataset in its own file: read alone, since a catalog whose segments wait for them is not valid yet."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from yaml import MappingNode

from cdp_exports.catalog.explain import explain
from cdp_exports.catalog.yaml import NotYaml, compose, line_at, read
from cdp_exports.entities.dataset import Dataset
from cdp_exports.entities.nearest import nearest
from cdp_exports.errors import DeclarationError, Problem

_PLAIN = re.compile(r"[A-Za-z_][\w.$-]*", re.ASCII)
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}  # which tools of YAML 1.1 take for something else
_DATASET: TypeAdapter[Dataset] = TypeAdapter(Dataset)


def read_dataset(folder: Path, dataset_id: str) -> Dataset:
    """The declaration of one dataset of the catalog in `folder`, whatever stands in other files.

    Raises:
        DeclarationError: there is none, or it is wrong.
    """
    file = file_of(folder, dataset_id)
    if not file.is_file():
        ids = [other.stem for other in file.parent.glob("*.yaml")]
        raise DeclarationError(
            f"There is no dataset {dataset_id!r}{nearest(dataset_id, ids)}.", next_step="A dataset is a file datasets/<id>.yaml."
        )
    shown = f"{folder.name}/datasets/{file.name}"
    content = file.read_bytes()
    try:
        value = read(content)
        return _DATASET.validate_python(value, by_alias=True, by_name=False)
    except NotYaml as error:
        raise DeclarationError([Problem(problem.message, shown, problem.line) for problem in error.problems]) from None
    except ValidationError as error:
        node = compose(content)
        found = explain(error, Dataset, read(content))
        raise DeclarationError([Problem(message, shown, line_at(node, at)) for at, message in found]) from None


def file_of(folder: Path, dataset_id: str) -> Path:
    """Where a dataset is declared."""
    return folder / "datasets" / f"{dataset_id}.yaml"


def written(columns: Mapping[str, str], indent: int = 0) -> str:
    """Columns as they stand in a dataset's file.

    >>> print(written({"id": "BIGINT", "on": "STRUCT(a INTEGER)", "a: b": "DECIMAL(10,2)"}), end="")
    columns:
      id: BIGINT
      "on": STRUCT(a INTEGER)
      "a: b": DECIMAL(10,2)
    """
    lines = ["columns:", *(f"  {_key(name)}: {_value(type_name)}" for name, type_name in columns.items())]
    return "".join(f"{' ' * indent}{line}\n" for line in lines)


def with_columns(content: bytes, columns: Mapping[str, str]) -> bytes | None:
    """A dataset's file with these columns, everything else as it is: behind a key of one line, else at the end.

    None where they cannot be put into it as text; the file has no columns before.
    """
    text = content.decode("utf-8")
    root = compose(content)
    assert isinstance(root, MappingNode)
    lines = text.splitlines(keepends=True)
    end = "\r\n" if lines[0].endswith("\r\n") else "\n"
    if not lines[-1].endswith("\n"):
        lines[-1] += end
    at = len(lines)
    for key, item in root.value:
        if key.value == "key" and item.end_mark.line == key.start_mark.line:
            at = item.end_mark.line + 1
    block = written(columns, root.start_mark.column).replace("\n", end)
    made = "".join([*lines[:at], block, *lines[at:]]).encode()
    try:
        return made if read(made) == {**read(content), "columns": dict(columns)} else None
    except NotYaml:
        return None


def _key(name: str) -> str:
    return name if _PLAIN.fullmatch(name) and name.lower() not in _WORDS else json.dumps(name, ensure_ascii=False)


def _value(type_name: str) -> str:
    """Types are words with brackets, and names in quotes inside of them."""
    return json.dumps(type_name, ensure_ascii=False) if re.search(r""": |:$| #|^["'\[{&*!|>%@`]|[^ -~]""", type_name) else type_name
