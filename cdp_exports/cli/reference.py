"""The command line's reference, written from the commands: `python -m cdp_exports.cli.reference > docs/command-line.md`."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Iterator

import click

from cdp_exports.cli.json_shapes import SHAPES
from cdp_exports.cli.program import program

_BEGINNING = """\
# The command line: reference

<!-- Generated: python -m cdp_exports.cli.reference > docs/command-line.md -->

`cdp-exports` works on the catalog and the Dagster home of the folder it is called in, so that what it ran the Dagster UI
shows, and the other way round.

- **Catalog**: `--catalog DIR`, else the folder named by `CDP_EXPORTS_CATALOG`, else `catalog/` beside the nearest
  `pyproject.toml`, upwards from here.
- **Dagster home**: `DAGSTER_HOME`, else the nearest folder with a `dagster.yaml`, from the catalog upwards.
- **Exit status**: 0 done (delivered, or nothing new), 1 failed, 2 wrong declaration or usage, 3 skipped, 130 interrupted.
  With several members the worst decides: 1, then 2, then 3, then 0.
- **Output**: tables on stdout, messages and progress on stderr. With `--json` stdout holds one JSON document and nothing
  else; keys may be added in later versions, none is removed or changes its meaning. Moments are ISO 8601 in UTC, export
  times `YYYYMMDDHHMM`, sizes bytes; `null` means not known, or none.
- A failure of the command itself prints `{"error": {"code", "reason", "message", "next_step", "export", "member",
  "export_time"}}` with `--json`, and the message with its next step on stderr in any case.
- `CDP_EXPORTS_DEBUG=1` shows the traceback of an unexpected failure.
"""


def reference() -> str:
    """The whole reference, Markdown."""
    root = click.Context(program, info_name="cdp-exports")
    parts = [_BEGINNING.rstrip()]
    for name, command in program.commands.items():
        parts.extend(_section(name, command, root))
    return "\n\n".join(parts) + "\n"


def _section(name: str, command: click.Command, root: click.Context) -> Iterator[str]:
    context = click.Context(command, info_name=name, parent=root)
    said, _, examples = inspect.cleandoc(command.help or "").partition("\b\nExamples:")
    yield f"## `{name}`"
    yield f"```\n{' '.join(['cdp-exports', name, *command.collect_usage_pieces(context)])}\n```"
    yield "\n\n".join(" ".join(paragraph.split()) for paragraph in said.strip().split("\n\n"))
    if options := list(_options(command, context)):
        yield "\n".join(
            ["| option | meaning |", "|---|---|", *(f"| `{_cell(option)}` | {_cell(meaning)} |" for option, meaning in options)]
        )
    yield f"```sh\n{inspect.cleandoc(examples)}\n```"
    for title, shape in SHAPES.items():
        whose, comma, of = title.partition(",")
        if whose == name:
            yield f"With `--json`{comma}{of}:\n\n```json\n{json.dumps(shape, indent=2)}\n```"


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    """Those that are not every command's."""
    for parameter in command.params:
        record = parameter.get_help_record(context)
        if record and isinstance(parameter, click.Option) and "--catalog" not in parameter.opts:
            yield record


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
