"""Reading is lazy, so a source fails where its rows are consumed: this says so in the project's words."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from cdp_exports.sources.delta.errors import translate


@contextmanager
def reading(subject: str) -> Generator[None]:
    """Everything raised inside comes out as a CdpExportsError that names `subject`.

    Wrap only what reads a source: an error of another library raised inside is taken for the source's.

    Raises:
        SourceUnreadable: terminal: no table, no right, a corrupt or missing file.
        TransientError: the store did not answer.
    """
    try:
        yield
    except Exception as exception:
        error = translate(exception, subject)
        if error is exception:
            raise
        raise error from exception
