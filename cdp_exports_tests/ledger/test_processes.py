"""Several processes at one ledger, and one that is killed."""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from itertools import chain
from typing import TypeVar

import pytest

from cdp_exports.entities.export_time import ExportTime
from cdp_exports.errors import Skip
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.ledger.building import COUNTS, ENVIRONMENT, EXPORT, OF_EXPORT, OF_MEMBER, delivery, expire, lease, minute

PROCESSES = 3
Result = TypeVar("Result")


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


def all_at_once(processes: Executor, do: Callable[[str, int], Result], url: str) -> list[Result]:
    return list(processes.map(do, [url] * PROCESSES, range(PROCESSES)))


def _open_and_note(url: str, number: int) -> str:
    ledger = Ledger.open(url)
    try:
        return str(ledger.mint(ENVIRONMENT, f"{EXPORT}_{number}"))
    finally:
        ledger.close()


def _mint(url: str, number: int) -> list[ExportTime]:
    ledger = Ledger.open(url)
    try:
        return [ledger.mint(ENVIRONMENT, EXPORT) for _ in range(3)]
    finally:
        ledger.close()


def _acquire(url: str, number: int) -> list[int]:
    """The tokens of the leases that this process got."""
    ledger = Ledger.open(url)
    tokens: list[int] = []
    try:
        for turn in range(20):
            held = ledger.acquire(ENVIRONMENT, EXPORT, run_id=f"{number}-{turn}", export_time=minute(1), seconds=600)
            if held is not None:
                tokens.append(held.token)
                ledger.release(held)
        return tokens
    finally:
        ledger.close()


def _commit(url: str, number: int) -> str:
    """Whichever of the attempts comes first is the delivery."""
    ledger = Ledger.open(url)
    try:
        found = ledger.delivery(ENVIRONMENT, OF_EXPORT, OF_MEMBER, minute(2))
        assert found is not None
        attempt = ledger.attempts(found.id)[number]
        return ledger.commit(found.id, attempt.id, counts=COUNTS, files=[], run_id=str(number)).attempt_id or ""
    except Skip as lost:
        return lost.reason
    finally:
        ledger.close()


def _deliver_all(url: str, number: int) -> int:
    """Compete for the lease; under it pin the next export time, and commit it."""
    ledger = Ledger.open(url)
    committed = 0
    try:
        while committed < 5:
            held = ledger.acquire(ENVIRONMENT, EXPORT, run_id=str(number), export_time=minute(1), seconds=600)
            if held is None:
                continue
            try:
                last = ledger.last_committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER)
                assert ledger.open_deliveries(ENVIRONMENT, OF_EXPORT, OF_MEMBER) == []
                sequence = last.sequence + 1 if last else 1
                made = delivery(last.export_time.next() if last else minute(1)).model_copy(update={"sequence": sequence})
                ledger.pin(held, made)
                attempt = ledger.start_attempt(held, made.id, held.run_id)
                ledger.publishing(held, attempt.id, COUNTS)
                ledger.commit(made.id, attempt.id, counts=COUNTS, files=[], run_id=held.run_id)
            finally:
                ledger.release(held)
            committed += 1
        return committed
    finally:
        ledger.close()


def url_of(ledger: Ledger) -> str:
    return ledger._database.url.render_as_string(hide_password=False)


def test_an_empty_ledger_opened_by_all_at_once(processes: Executor, ledger_url: str) -> None:
    assert len(all_at_once(processes, _open_and_note, ledger_url)) == PROCESSES
    ledger = Ledger.open(ledger_url)
    assert all(ledger.newest_time(ENVIRONMENT, f"{EXPORT}_{number}") for number in range(PROCESSES))
    ledger.close()


def test_nobody_mints_what_another_minted(processes: Executor, ledger: Ledger) -> None:
    minted = sorted(chain.from_iterable(all_at_once(processes, _mint, url_of(ledger))))
    assert len(set(minted)) == len(minted) == 3 * PROCESSES
    assert ledger.newest_time(ENVIRONMENT, EXPORT) == minted[-1]


def test_nobody_holds_what_another_holds(processes: Executor, ledger: Ledger) -> None:
    tokens = sorted(chain.from_iterable(all_at_once(processes, _acquire, url_of(ledger))))
    assert tokens == list(range(1, len(tokens) + 1))


def test_one_commit_wins(processes: Executor, ledger: Ledger) -> None:
    held, pinned = lease(ledger), delivery(minute(2))
    ledger.pin(held, pinned)
    for number in range(PROCESSES):
        ledger.start_attempt(held, pinned.id, str(number))
    ends = Counter(all_at_once(processes, _commit, url_of(ledger)))
    committed = ledger.last_committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER)
    assert committed is not None
    assert ends == {committed.attempt_id: 1, "superseded": PROCESSES - 1}


def test_deliveries_follow_each_other_whoever_makes_them(processes: Executor, ledger: Ledger) -> None:
    assert sum(all_at_once(processes, _deliver_all, url_of(ledger))) == 5 * PROCESSES
    committed = ledger.committed(ENVIRONMENT, OF_EXPORT, OF_MEMBER)
    assert [made.sequence for made in committed] == list(range(1, 5 * PROCESSES + 1))


KILLED = f"""
import sys
from cdp_exports.ledger import deliveries, leases
from cdp_exports.ledger.ledger import Ledger
from cdp_exports_tests.ledger.building import delivery, minute

ledger = Ledger.open(sys.argv[1])
held = ledger.acquire({ENVIRONMENT!r}, {EXPORT!r}, run_id="killed", export_time=minute(2), seconds=600)
with ledger._database.write() as connection:
    deliveries.pin(connection, held, delivery(minute(2)))
    print("pinned, not committed", flush=True)
    sys.stdin.read()
"""


def test_killed_inside_a_transaction(ledger: Ledger) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, url_of(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("pinned")
        assert ledger.history(ENVIRONMENT) == []
        process.send_signal(signal.SIGKILL)
    killed = ledger.holder(ENVIRONMENT, EXPORT)
    assert killed is not None
    assert killed.run_id == "killed"
    expire(ledger, killed)  # its locks are gone: this writes
    assert ledger.history(ENVIRONMENT) == []
    ledger.pin(lease(ledger), delivery(minute(2)))
