"""The Dagster UI of a demo folder, started as a user starts it, and a browser that looks at it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Page, sync_playwright

REPOSITORY = Path(__file__).parents[2]
TOOLS = Path(sysconfig.get_path("scripts"))


def browser_path() -> str:
    """Debian's Chromium. Where `.ci/run` installs it, a test without it fails instead of being skipped."""
    found = shutil.which("chromium")
    if found is None:
        missing = pytest.fail if os.environ.get("CDP_EXPORTS_REQUIRE_BROWSER") else pytest.skip
        missing("No `chromium` on this machine: `apt-get install --no-install-recommends chromium`.")
    return found


@contextmanager
def dagster_ui(folder: Path) -> Generator[str]:
    """Runs `dg dev` on the catalog and the Dagster home of `folder`; gives the UI's address."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    log = folder / "dg-dev.log"
    command = [TOOLS / "dg", "dev", "--host", "127.0.0.1", "--port", str(port)]
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command, cwd=REPOSITORY, env=environ(folder), stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        ) as process,
    ):
        try:
            address = f"http://127.0.0.1:{port}"
            _await_answer(process, f"{address}/server_info", log)
            yield address
        finally:
            _stop_tree(process)


def environ(folder: Path) -> dict[str, str]:
    """As the demo says: the folder is the Dagster home and holds the catalog. Without bytecode every process starts seconds later."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**inherited, "DAGSTER_HOME": str(folder), "CDP_EXPORTS_CATALOG": str(folder / "catalog")}


def _await_answer(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        with suppress(urllib.error.URLError, ConnectionError, TimeoutError), urllib.request.urlopen(address, timeout=5):
            return
        time.sleep(0.2)
    pytest.fail(f"The UI does not answer:\n{log.read_text(encoding='utf-8')[-4000:]}")


def _stop_tree(process: subprocess.Popen[bytes]) -> None:
    """Webserver, daemon, code server and runs are children and grandchildren; none may outlive the test."""
    with suppress(psutil.NoSuchProcess):
        top = psutil.Process(process.pid)
        tree = [top, *top.children(recursive=True)]
        for sent in (signal.SIGTERM, signal.SIGKILL):
            for one in tree:
                with suppress(psutil.NoSuchProcess):
                    one.send_signal(sent)
            _, tree = psutil.wait_procs(tree, timeout=10)


@contextmanager
def browser_page(address: str) -> Generator[Page]:
    """A page of a headless browser at `address`; its links are relative to it."""
    with sync_playwright() as playwright:
        # in most containers its own sandbox does not work, nor for root, and shared memory is small; the page is ours
        browser = playwright.chromium.launch(executable_path=browser_path(), args=["--no-sandbox", "--disable-dev-shm-usage"])
        page = browser.new_page(base_url=address, viewport={"width": 1400, "height": 1400})
        page.set_default_timeout(60_000)
        yield page
        browser.close()
