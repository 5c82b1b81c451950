"""The docs say what is: links and files exist, verbs and options too, failures are all explained, declarations are valid."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest

from cdp_exports import errors
from cdp_exports.catalog.load import load
from cdp_exports.catalog.reference import EXAMPLES
from cdp_exports.catalog.yaml import read
from cdp_exports.cli.program import program
from cdp_exports.entities.cadence import Cadence
from cdp_exports.errors import CdpExportsError, HistoryLost, Skip, TerminalError
from cdp_exports.sources.delta.table import FEED, FILES, SNAPSHOTS

ROOT = Path(__file__).parent.parent
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
TROUBLE = (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8")

ids = pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])


@ids
def test_links_lead_somewhere(page: Path) -> None:
    found = re.findall(r"\]\(([^)\s]+)\)", _prose(page))
    for link in found:
        if re.match(r"https?://", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        assert target.exists(), f"{page.name} links to {link}, which does not exist"
        if anchor:
            assert anchor in _anchors(target), f"{page.name} links to {link}, and {target.name} has no such heading"


def test_every_page_is_reached_from_the_index() -> None:
    linked = set(re.findall(r"\]\(([a-z-]+\.md)\)", (ROOT / "docs" / "index.md").read_text(encoding="utf-8")))
    assert {page.name for page in PAGES} - {"README.md", "index.md"} == linked


@ids
def test_files_of_the_repository_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(r"`((?:cdp_exports|cdp_exports_tests|benchmarks|scenarios|docs|\.ci)/[\w./-]+)`", page.read_text(encoding="utf-8"))
    assert [name for name in named if not (ROOT / name).exists()] == []


@ids
def test_commands_that_a_page_shows_can_be_typed(page: Path) -> None:
    for line in _commands(page):
        context = click.Context(program)
        words = shlex.split(line.replace("EXPORT", "some_export").replace("YYYYMMDDHHMM", "202612010200"), comments=True)[1:]
        verb, arguments = next((word, words[index + 1 :]) for index, word in enumerate(words) if not word.startswith("-"))
        if verb == "COMMAND":
            continue
        assert verb in program.commands, f"{page.name}: {line}"
        try:
            program.commands[verb].make_context(verb, arguments, parent=context)
        except (click.MissingParameter, click.exceptions.Exit):
            continue  # prose names a verb without its arguments, or --help
        except click.UsageError as error:
            pytest.fail(f"{page.name}: {line}: {error.message}")


def test_every_failure_is_explained() -> None:
    explained = set(re.findall(r"^### (\w+)$", TROUBLE, re.MULTILINE))
    kinds = {kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, CdpExportsError)}
    assert explained == {kind.code for kind in kinds - {Skip}}
    assert "failed" in explained and TerminalError.code == "failed"


@pytest.mark.parametrize(("kind", "heading"), [(Skip, "## Skips"), (HistoryLost, "### history_lost")])
def test_every_reason_is_explained(kind: type[Skip | HistoryLost], heading: str) -> None:
    [section] = re.findall(rf"^{heading}\n(.*?)(?=^##|\Z)", TROUBLE, re.MULTILINE | re.DOTALL)
    rows = set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE))
    declared = set(re.findall(r"`(\w+)`", (kind.__doc__ or "").partition("Reasons")[2]))
    assert rows == declared
    given: set[str] = set()
    for module in (ROOT / "cdp_exports").rglob("*.py"):
        raised = re.findall(rf"{kind.__name__}\((?:[^()]|\([^()]*\))*?reason=\"(\w+)\"", module.read_text(encoding="utf-8"))
        given |= set(raised)
    assert given
    assert given <= declared


def test_every_change_source_is_explained() -> None:
    page = (ROOT / "docs" / "increments.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(delta-\w+)` \|", page, re.MULTILINE)) == {FEED, FILES, SNAPSHOTS}


@pytest.mark.parametrize(
    ("page", "declared"),
    [(page, block) for page in PAGES for block in re.findall(r"```yaml\n(# catalog/.*?)```", page.read_text(), re.DOTALL)],
)
def test_declarations_that_a_page_shows_are_valid(page: Path, declared: str, tmp_path: Path) -> None:
    """Each together with what else the page shows, the reference's examples, and datasets and connections that are only named."""
    shown = re.findall(r"```yaml\n(# catalog/.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    examples = [example for several in EXAMPLES.values() for example in several]
    _, _, body = declared.partition("\n")
    files: dict[str, str] = {}
    if "datasets" in body and "/exports/" in declared:
        for dataset in re.findall(r"\w+", _value(body, "datasets")):
            files[f"catalog/datasets/{dataset}.yaml"] = f"source: {{format: delta, uri: data/{dataset}}}\nkey: [id]\n"
    if "/exports/" in declared:
        files[f"catalog/connections/{_value(body, 'connection')}.yaml"] = "type: local\nfolder: lake\n"
    exports = [block for block in (*examples, *shown) if "/exports/" in block.partition("\n")[0]]
    for block in (*(block for block in (*examples, *shown) if block not in exports), declared):
        first, _, text = block.partition("\n")
        files[first.removeprefix("# ").split()[0]] = text
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert load(tmp_path / "catalog")


def test_every_cadence_that_the_page_of_schedules_shows_is_one() -> None:
    text = (ROOT / "docs" / "schedules.md").read_text(encoding="utf-8")
    shown = re.findall(r"`(\{(?:every|daily_at|weekly_on|monthly_on|cron|after)[^`]*\})`", text)
    cadences = [Cadence.model_validate(read(f"schedule: {written}".encode())["schedule"]) for written in shown]
    for rhythm in ("every", "daily_at", "weekly_on", "monthly_on", "cron"):
        assert any(getattr(cadence, rhythm) for cadence in cadences), rhythm


def test_python_that_a_page_shows_compiles() -> None:
    blocks: list[Any] = [
        compile(block, page.name, "exec")
        for page in PAGES
        for block in re.findall(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    ]
    assert blocks


def _prose(page: Path) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """As GitHub makes them of headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _commands(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```(?:sh|console)?\n(.*?)```", text, re.DOTALL):
        yield from re.findall(r"^(?:\$ )?(cdp-exports [^\n\[]*)$", block, re.MULTILINE)  # not the usage lines of the reference
    yield from re.findall(r"`(cdp-exports [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def _value(body: str, key: str) -> str:
    [value] = re.findall(rf"^{key}: (.*?)\s*(?:#.*)?$", body, re.MULTILINE)
    return value
