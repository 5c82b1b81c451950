"""Connections to folders."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from cdp_exports.entities.model import Address
from cdp_exports.entities.receiver import Receiver


class LocalConnection(Receiver):
    """A folder on this machine or on a mounted share."""

    type: Literal["local"]
    """The kind of store."""

    folder: Address
    """The folder; relative to the catalog's parent folder. It is created on first use."""

    def place(self, root: Path) -> tuple[str, ...]:
        return "local", *Path(os.path.realpath(root / self.folder)).parts
