"""What every declared object has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, StringConstraints

Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,62}$")]
"""An object's name: the name of its file. Lower-case letters, digits and `_`, at most 63."""


class Declared(BaseModel):
    """Immutable; an unknown key is an error; values are not coerced (`"1"` is not 1)."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)
