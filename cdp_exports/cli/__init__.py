"""The command line, `cdp-exports`: everything a person does with exports outside of the Dagster UI."""

from __future__ import annotations


def main() -> None:
    """The entry point of `cdp-exports`."""
    import io
    import sys

    from cdp_exports.cli.program import program

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that cannot show a letter shows `?`

    program(prog_name="cdp-exports")
