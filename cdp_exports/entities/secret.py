"""Secrets are named, never written down."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator, model_validator

from cdp_exports.entities.model import Declared
from cdp_exports.errors import DeclarationError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Secret(Declared):
    """A reference to an environment variable, `{env: NAME}`. The value is read when it is used and kept nowhere."""

    env: str
    """The environment variable that holds the value."""

    @model_validator(mode="before")
    @classmethod
    def _by_reference(cls, value: Any) -> Any:
        if not is_reference(value):
            raise ValueError("a secret is never written in the catalog; name the environment variable that holds it: `{env: NAME}`")
        return value

    @field_validator("env")
    @classmethod
    def _a_name(cls, value: str) -> str:
        if not _NAME.fullmatch(value):
            raise ValueError("write the name of an environment variable (letters, digits and `_`), not a secret itself")
        return value

    def reveal(self, environ: Mapping[str, str]) -> str:
        """The value.

        Raises:
            DeclarationError: the variable is not set or is empty.
        """
        value = environ.get(self.env)
        if not value:
            raise DeclarationError(
                f"The environment variable {self.env} is not set.",
                next_step=f"Set {self.env} where the run executes, or name another variable in the catalog.",
            )
        return value


def is_reference(value: object) -> bool:
    """Whether a declared value is meant as a reference, not as text."""
    return isinstance(value, Mapping | Secret)
