"""A user in the Dagster UI: sees what the command line delivered, materializes a new export time, fills in the form, mistypes."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Collection, Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from dagster import DagsterInstance, DagsterRun, RunsFilter
from dagster._core.scheduler.instigation import InstigatorStatus
from playwright.sync_api import Page, expect

from cdp_exports.cli import demo, demo_tables
from cdp_exports_tests.ui.served import TOOLS, browser_page, browser_path, dagster_ui, environ

ASSET = "/assets/dataset_exports/commerce_to_lake/orders"
FIRST = "202601010000"
FORM = "demo__run_export"
PAIR = (
    "kind: dataset\nconnection: lake\ndatasets: [orders, customers]\npath: pair/{dataset_id}/{export_time}\n"
    "schedule: {every: 3h}\nactive: false\n"
)


@dataclass(frozen=True)
class Desk:
    """What the user has: the demo's folder, a page of the browser, and Dagster's records to know when a run has ended."""

    folder: Path
    page: Page
    instance: DagsterInstance
    first_run: str

    def materialize(self, partition: str, asset: str = ASSET) -> DagsterRun:
        """Click through the dialog and wait for the run's end."""
        page, of_partition = self.page, RunsFilter(tags={"dagster/partition": partition})
        before = {run.run_id for run in self.instance.get_runs(of_partition)}
        page.goto(f"{asset}?view=overview")
        page.get_by_role("button", name="Materialize").first.click()
        page.get_by_text("Add a partition").click()
        page.get_by_placeholder("name", exact=True).fill(partition)
        page.get_by_role("button", name="Save").click()
        page.get_by_role("button", name="Launch 1 run").click()
        return self.ended(of_partition, before)

    def fill_in(self, form: str) -> None:
        """The launchpad of the job that runs one export."""
        page = self.page
        page.goto("/jobs")
        page.get_by_text(FORM).first.click()
        page.get_by_role("tab", name="Launchpad").click()
        editor = page.locator(".CodeMirror").first
        expect(page.get_by_text("/* Which export. */")).to_be_visible()
        editor.click()
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.insert_text(form)

    def launch(self, form: str) -> DagsterRun:
        """Fill in the form and wait for the job's end."""
        of_form = RunsFilter(job_name=FORM)
        before = {run.run_id for run in self.instance.get_runs(of_form)}
        self.fill_in(form)
        self.page.get_by_role("button", name="Launch Run").click()
        return self.ended(of_form, before)

    def ended(self, wanted: RunsFilter, before: Collection[str]) -> DagsterRun:
        """The newest of these runs that was not there before, once it has ended."""
        until = time.monotonic() + 120
        while time.monotonic() < until:
            runs = [run for run in self.instance.get_runs(wanted) if run.run_id not in before]
            if runs and runs[0].is_finished:
                return runs[0]
            time.sleep(0.2)
        pytest.fail(f"The run did not end:\n{(self.folder / 'dg-dev.log').read_text(encoding='utf-8')[-4000:]}")

    def metadata(self, partition: str) -> dict[str, str]:
        """The metadata table of a materialization, as the asset's page shows it."""
        self.page.goto(f"{ASSET}?view=events&partition={partition}")
        expect(self.page.get_by_text("materialized in run")).to_be_visible()
        rows = [row.locator("td").all_inner_texts() for row in self.page.locator("tr").all()]
        return {cells[0]: cells[1] for cells in rows if len(cells) > 1}

    def of_pair(self) -> set[str]:
        """What the export of two datasets delivered: dataset and export time."""
        return {"/".join(path.parts[-3:-1]) for path in self.folder.glob("exports/pair/*/*/_manifest")}

    def delivered(self, export_time: str) -> Path:
        return self.folder / "exports" / "orders" / f"exportTime={export_time}"


@pytest.fixture
def desk(tmp_path: Path) -> Generator[Desk]:
    """The demo's catalog and tables; the command line delivered `orders` in full, then rows changed."""
    browser_path()
    demo._make_home(tmp_path)
    orders = tmp_path / "data" / "orders"
    demo_tables.write("orders", orders)
    demo_tables.write("customers", tmp_path / "data" / "customers")
    (tmp_path / "catalog" / "exports" / "pair.yaml").write_text(PAIR, encoding="utf-8")
    command = [TOOLS / "cdp-exports", "run", "commerce_to_lake", "--at", FIRST, "--json"]
    ended = subprocess.run(command, cwd=tmp_path, env=environ(tmp_path), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    demo_tables.change("orders", orders)
    with (
        DagsterInstance.from_config(str(tmp_path)) as instance,
        dagster_ui(tmp_path) as address,
        browser_page(address) as page,
    ):
        yield Desk(tmp_path, page, instance, json.loads(ended.stdout)["run_id"])


@pytest.mark.timeout(600)
def test_a_user_of_the_ui(desk: Desk, subtests: pytest.Subtests) -> None:
    with subtests.test("what the command line delivered is there"):
        desk.page.goto("/runs")
        expect(desk.page.get_by_text(desk.first_run[:8])).to_be_visible()
        shown = desk.metadata(FIRST)
        assert shown["cdp/mode"] == "full" and shown["dagster/partition_row_count"] == "40000"

    with subtests.test("a new export time delivers what changed"):
        export_time = f"{datetime.now(UTC):%Y%m%d%H%M}"
        run = desk.materialize(export_time)
        desk.page.goto(f"/runs/{run.run_id}")
        expect(desk.page.get_by_text("Success", exact=True)).to_be_visible()
        _compare(desk.metadata(export_time), desk.delivered(export_time))

    with subtests.test("a key that is no export time fails in one sentence and delivers nothing"):
        before = sorted(desk.folder.glob("exports/**/*"))
        run = desk.materialize("tomorrow")
        desk.page.goto(f"/runs/{run.run_id}")
        expect(desk.page.get_by_text("Failure", exact=True)).to_be_visible()
        expect(desk.page.get_by_text("'tomorrow' is not an export time. Write the UTC minute as YYYYMMDDHHMM").first).to_be_visible()
        assert sorted(desk.folder.glob("exports/**/*")) == before

    with subtests.test("one member of two, in the dialog"):
        assert desk.materialize(FIRST, "/assets/dataset_exports/pair/customers").is_success
        assert desk.of_pair() == {f"customers/{FIRST}"}

    with subtests.test("a form picks the export time itself, of one member, with the schedule off"):
        switches = _switches(desk)
        run = desk.launch("export: pair\nmember: orders\n")
        assert run.is_success
        (delivered,) = desk.instance.get_runs(RunsFilter(tags={"cdp/export": "pair"}), limit=1)
        export_time = delivered.tags["dagster/partition"]
        assert export_time >= f"{datetime.now(UTC):%Y%m%d}0000"
        assert desk.of_pair() == {f"customers/{FIRST}", f"orders/{export_time}"}
        assert _switches(desk) == switches
        desk.page.goto(f"/runs/{run.run_id}")
        expect(desk.page.get_by_text(delivered.run_id[:8]).first).to_be_visible()

    with subtests.test("names that are not there cannot be launched"):
        for form in ("export: pear\n", "export: pair\nmember: ordrs\n"):
            desk.fill_in(form)
            expect(desk.page.get_by_text("not in enum type").first).to_be_visible()
            expect(desk.page.get_by_role("button", name="Launch Run")).to_be_disabled()

    with subtests.test("a member of another export fails in one sentence"):
        run = desk.launch("export: commerce_to_lake\nmember: customers\n")
        assert not run.is_success
        desk.page.goto(f"/runs/{run.run_id}")
        expect(desk.page.get_by_text("commerce_to_lake has no member 'customers'").first).to_be_visible()


def _compare(shown: dict[str, str], folder: Path) -> None:
    """What the page says, what the manifest says and what landed are the same."""
    manifest: dict[str, Any] = json.loads((folder / "_manifest").read_text(encoding="utf-8"))
    files = [path for path in folder.iterdir() if path.name != "_manifest"]
    rows = pl.read_parquet(files).height
    assert rows == demo_tables.TABLES["orders"].inserts
    assert shown["cdp/manifest"] == str(folder / "_manifest")
    assert shown["cdp/delivery"] == manifest["delivery"]
    assert shown["dagster/partition_row_count"] == shown["cdp/rows_inserted"] == str(rows)
    assert shown["cdp/files"] == str(len(files)) == str(len(manifest["files"]))
    assert shown["cdp/bytes"] == str(sum(path.stat().st_size for path in files))
    assert (shown["cdp/version_from"], shown["cdp/version_to"]) == ("0", "1")
    assert shown["cdp/mode"] == "incremental"


def _switches(desk: Desk) -> dict[str, InstigatorStatus]:
    """Without what sensors remember from tick to tick."""
    return {state.instigator_name: state.status for state in desk.instance.all_instigator_state()}
