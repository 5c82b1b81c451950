"""What the libraries below a Delta table raise, said in the words of `cdp_exports.errors`.

Neither deltalake nor Polars has error types for what matters here (is it worth trying again?), so the text of the
message is matched, without the paths it names: a table may be called `timeouts`. Their text is not repeated: it may
quote values of the table. It stays in the cause.
"""

from __future__ import annotations

import errno
import re
from json import JSONDecodeError

from cdp_exports.errors import CdpExportsError, SourceUnreadable, TransientError

_LIBRARIES = ("_internal", "deltalake", "polars", "pyarrow", "arro3")
_UNREACHABLE = (
    "error sending request",
    "connection refused",
    "connection reset",
    "connection closed",
    "broken pipe",
    "timed out",
    "timeout",
    "dns error",
    "429 too many",
    "500 internal",
    "502 bad",
    "503 service",
    "504 gateway",
    "slowdown",
    "slow down",
)
_FORBIDDEN = (
    "accessdenied",
    "access denied",
    "403 forbidden",
    "401 unauthorized",
    "signaturedoesnotmatch",
    "invalidaccesskeyid",
    "expiredtoken",
    "permission denied",
    "permissiondenied",
    "unauthenticated",
    "lacked the required privileges",
)
_NO_BUCKET = ("nosuchbucket", "bucket does not exist")
_GONE = ("not found", "no such file", "notfound")
_UNKNOWN_FEATURE = ("unsupported", "not supported", "reader feature", "error parsing property")
_PATH = re.compile(r"""[^\s<>"'()]*/[^\s<>"'()]*""")  # but no code in an XML answer: <Code>AccessDenied</Code>


def is_of_a_library(exception: BaseException) -> bool:
    """Whether a library that reads tables raised it; deltalake also raises plain `Exception`, and Rust code may panic."""
    kind = type(exception)
    return (
        kind.__module__.partition(".")[0] in _LIBRARIES
        or isinstance(exception, OSError | JSONDecodeError)
        or kind is Exception
        or kind.__name__ == "PanicException"
    )


def translate(exception: BaseException, subject: str) -> CdpExportsError:
    """The project's error for what a library raised while `subject` (a table, a dataset) was read. Raise it `from` that.

    >>> translate(OSError("Generic S3 error: error sending request"), "s3://lake/orders").code
    'transient'
    >>> translate(OSError("Generic S3 error: 403 Forbidden"), "s3://lake/orders").message
    's3://lake/orders cannot be read: the credentials were refused or lack the right to read it.'
    >>> translate(OSError("data/timeouts/part-0.parquet: not a Parquet file"), "timeouts").code
    'source_unreadable'
    """
    kind = type(exception).__name__
    text = _PATH.sub("", f"{kind} {exception}".lower())
    if isinstance(exception, TimeoutError | ConnectionError) or _has(text, _UNREACHABLE):
        return TransientError(
            f"{subject} cannot be reached: the store did not answer.",
            next_step="It is tried again; if it stays so, check the store, the network and the source's endpoint.",
        )
    if isinstance(exception, PermissionError) or _has(text, _FORBIDDEN):
        return SourceUnreadable(
            f"{subject} cannot be read: the credentials were refused or lack the right to read it.",
            next_step="Check the dataset's `source.options` and the rights on the table's folder.",
        )
    if _has(text, _NO_BUCKET):
        return SourceUnreadable(f"{subject} cannot be read: its bucket does not exist.", next_step="Check `source.uri`.")
    if kind == "TableNotFoundError":
        return SourceUnreadable(
            f"{subject} does not exist or is no Delta table.", next_step="Check `source.uri`: it names the folder that holds `_delta_log`."
        )
    if isinstance(exception, FileNotFoundError) or _has(text, _GONE):
        return SourceUnreadable(
            f"{subject} cannot be read: a file that its log names is missing.",
            next_step="If the table was vacuumed meanwhile, run the export again; otherwise repair or restore the table.",
        )
    if _has(text, _UNKNOWN_FEATURE):
        return SourceUnreadable(
            f"{subject} uses a feature of Delta Lake that cannot be read here.",
            next_step="The cause names it; drop that table feature or export a copy of the table without it.",
        )
    if isinstance(exception, OSError) and exception.errno in (errno.ENOSPC, errno.EDQUOT, errno.EMFILE):
        return TransientError(
            f"{subject} could not be read to its end: this machine ran out of room or of open files.",
            next_step="Free room in the temporary folder and run the export again.",
        )
    return SourceUnreadable(
        f"{subject} cannot be read: its log or one of its data files is corrupt ({kind}).",
        next_step="Read the table with another tool to find the file; repair it or restore the table.",
    )


def _has(text: str, marks: tuple[str, ...]) -> bool:
    return any(mark in text for mark in marks)
