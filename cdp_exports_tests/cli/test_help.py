"""Help, version, and the reference written from it."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cdp_exports.cli.program import program
from cdp_exports.cli.reference import reference

COMMANDS = {
    "demo",
    "run",
    "list",
    "show",
    "history",
    "schedule",
    "remove",
    "plan",
    "explain",
    "verify",
    "replay",
    "resolve",
    "adopt",
    "expire",
    "check",
    "destinations",
    "columns",
    "schema",
}
DOCS = Path(__file__).parents[2] / "docs"
HEAVY = ("adbc_driver_manager", "dagster", "deltalake", "duckdb", "obstore", "polars", "pyarrow", "pydantic", "rich", "sqlalchemy")


def test_the_commands_are_those_of_the_design() -> None:
    assert set(program.commands) == COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help_whose_examples_can_be_typed(name: str) -> None:
    shown = CliRunner().invoke(program, [name, "--help"])
    assert shown.exit_code == 0
    examples = [line.strip() for line in shown.stdout.partition("Examples:")[2].splitlines() if line.strip().startswith("cdp-exports")]
    assert examples
    for example in examples:
        _, said, *arguments = shlex.split(example)
        assert said == name
        program.commands[name].make_context(name, arguments, parent=click.Context(program))


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_option_is_explained(name: str) -> None:
    options = [parameter for parameter in program.commands[name].params if isinstance(parameter, click.Option)]
    assert all(option.help for option in options)
    assert any("--catalog" in option.opts for option in options)


def test_version() -> None:
    shown = CliRunner().invoke(program, ["--version"], prog_name="cdp-exports")
    assert shown.exit_code == 0
    assert shown.stdout.startswith("cdp-exports ")


def test_a_terminal_without_unicode(tmp_path: Path) -> None:
    script = "import sys; from cdp_exports.cli import main; sys.argv = ['cdp-exports', 'list', '--catalog', 'no → where']; main()"
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    ended = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, encoding="latin-1", env=environment, cwd=tmp_path, check=False
    )
    assert ended.returncode == 2
    assert "no ? where" in ended.stderr


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys\nfrom cdp_exports.cli import main\nsys.argv = ['cdp-exports', 'run', '--help']\n"
        f"try:\n    main()\nexcept SystemExit:\n    print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"


def test_the_reference_is_in_step() -> None:
    written = (DOCS / "command-line.md").read_text(encoding="utf-8")
    assert written == reference(), "run: python -m cdp_exports.cli.reference > docs/command-line.md"
