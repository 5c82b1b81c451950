"""Log entries that deltalake cannot write, written by hand as the Delta protocol describes them.

https://github.com/delta-io/delta/blob/master/PROTOCOL.md
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Z85 = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#"


def entry(table: Path, version: int) -> Path:
    return table / "_delta_log" / f"{version:020d}.json"


def actions(table: Path, version: int, kind: str) -> list[dict[str, Any]]:
    lines = map(json.loads, entry(table, version).read_text().splitlines())
    return [line[kind] for line in lines if kind in line]


def commit(table: Path, version: int, lines: Sequence[Mapping[str, Any]]) -> None:
    information = {"commitInfo": {"timestamp": 1_790_000_000_000 + version, "operation": "HAND"}}
    entry(table, version).write_text("\n".join(map(json.dumps, [information, *lines])))


def removal(add: Mapping[str, Any], *, data_change: bool = True) -> dict[str, Any]:
    """The remove action that belongs to an add action."""
    kept = {name: add[name] for name in ("path", "partitionValues", "size", "deletionVector") if name in add}
    return {"remove": {**kept, "deletionTimestamp": 1, "dataChange": data_change, "extendedFileMetadata": True}}


def masked(add: Mapping[str, Any], positions: Sequence[int]) -> dict[str, Any]:
    """An add action of the same file with a deletion vector."""
    kept = {name: add[name] for name in ("path", "partitionValues", "size", "modificationTime", "stats")}
    return {"add": {**kept, "dataChange": True, "deletionVector": deletion_vector(positions)}}


def deletion_vector(positions: Sequence[int]) -> dict[str, Any]:
    """Inline: a portable Roaring bitmap array with one array container (positions below 65536)."""
    container = struct.pack(f"<{len(positions)}H", *sorted(positions))
    bitmap = struct.pack("<IIHHI", 12346, 1, 0, len(positions) - 1, 16) + container
    data = struct.pack("<iqI", 1681511377, 1, 0) + bitmap
    return {
        "storageType": "i",
        "pathOrInlineDv": _z85(data + b"\0" * (-len(data) % 4)),
        "sizeInBytes": len(data),
        "cardinality": len(positions),
    }


def _z85(data: bytes) -> str:
    text = ""
    for start in range(0, len(data), 4):
        number = int.from_bytes(data[start : start + 4], "big")
        text += "".join(Z85[number // 85**power % 85] for power in (4, 3, 2, 1, 0))
    return text


def v2_checkpoint(table: Path, version: int) -> None:
    """A checkpoint in JSON with everything inline, of a table whose only commit with files is version 0."""
    protocol = actions(table, 0, "protocol")[0]
    features = {
        "minReaderVersion": 3,
        "minWriterVersion": 7,
        "readerFeatures": sorted({*protocol.get("readerFeatures", ()), "v2Checkpoint"}),
        "writerFeatures": sorted({*protocol.get("writerFeatures", ()), "v2Checkpoint"}),
    }
    lines: list[Mapping[str, Any]] = [{"checkpointMetadata": {"version": version}}, {"protocol": features}]
    lines += [{"metaData": metadata} for metadata in actions(table, 0, "metaData")]
    lines += [{"add": {**add, "dataChange": False}} for add in actions(table, 0, "add")]
    path = entry(table, version).with_suffix(".checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json")
    path.write_text("\n".join(map(json.dumps, lines)))
