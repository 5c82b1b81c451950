"""What is still declared of a catalog that was loaded a while ago."""

from __future__ import annotations

from collections.abc import Iterable

from cdp_exports.catalog.catalog import Catalog
from cdp_exports.catalog.yaml import NotYaml, read


def still_declared(catalog: Catalog, export_id: str, members: Iterable[str]) -> list[str]:
    """Those of an export's members that stand in its file now; none where the file is gone.

    A process that loads the catalog anew knows no others, and a run of one of them would fail there. A file that cannot be read
    now says nothing.
    """
    if catalog.folder is None or not (catalog.folder / "exports").is_dir():
        return list(members)
    try:
        declared = read((catalog.folder / "exports" / f"{export_id}.yaml").read_bytes())
    except FileNotFoundError:
        return []
    except (OSError, NotYaml):
        return list(members)
    listed = declared.get("datasets" if catalog.exports[export_id].kind == "dataset" else "segments")
    return [member for member in members if member in listed] if isinstance(listed, list) else list(members)
