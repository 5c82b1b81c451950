"""Reading is lazy, so a source fails where its rows are consumed: this says so in the project's words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cdp_exports.sources.delta.errors import is_of_a_library, translate


@contextmanager
def reading(subject: str) -> Generator[None]:
    """What the libraries below raise inside comes out as a CdpExportsError that names `subject`.

    Wrap only what reads a source: an OSError raised inside is taken for the source's.

    Raises:
        SourceUnreadable: terminal: no table, no right, a corrupt or missing file.
        TransientError: the store did not answer.
    """
    try:
        yield
    except BaseException as exception:
        if not is_of_a_library(exception):
            raise
        raise translate(exception, subject) from exception
