"""The command line, `cdp-exports`: everything a person does with exports outside of the Dagster UI."""

from __future__ import annotations


def main() -> None:
    """The entry point of `cdp-exports`."""
    from cdp_exports.cli.program import program

    program(prog_name="cdp-exports")
