"""Secrets are named, never written down."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from cdp_exports.errors import DeclarationError


class Secret(BaseModel):
    """A reference to an environment variable, `{env: NAME}`. The value is read when it is used and kept nowhere."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, use_attribute_docstrings=True)

    env: str
    """The environment variable that holds the value."""

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
