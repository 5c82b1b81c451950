"""A run that is killed (-9), or stopped until somebody wakes it, before a step that anybody could see.

`python -m cdp_exports_tests.delivery.crash FOLDER EXPORT_TIME kill|stop N|NAME`: before the Nth step, or the first one of
that name (`create` is the manifest's). With -1 it goes through. Prints the steps it took and how it ended.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from cdp_exports.delivery import holding
from cdp_exports.delivery.outcome import Outcome
from cdp_exports_tests.delivery.world import World, hurry

LEDGER_STEPS = {
    "note_time",
    "acquire",
    "pin",
    "start_attempt",
    "begin_file",
    "end_file",
    "publishing",
    "commit",
    "cover",
    "removed",
    "release",
    "begin_batch",
    "end_batch",
    "commit_batches",
}
AUDIENCE_STEPS = {"prepare", "send", "outcome"}
DESTINATION_STEPS = {"create", "open", "delete", "put"}
WRITER_STEPS = {"write", "close"}


class Steps:
    """Counts the steps and is interrupted before one of them."""

    def __init__(self, interrupt: signal.Signals, before: int | str) -> None:
        self.taken: list[str] = []
        self._interrupt, self._before = interrupt, before

    def take(self, name: str) -> None:
        first_create = name == "create" and "publishing" not in self.taken  # that is `_owner`
        if self._before in (len(self.taken), name) and not (self._before == "create" and first_create):
            self._before = -1
            os.kill(os.getpid(), self._interrupt)
        self.taken.append(name)


class Watched:
    """Passes everything on, each named call a step; what it opens is watched too."""

    def __init__(self, watched: Any, names: set[str], steps: Steps) -> None:
        self._watched, self._names, self._steps = watched, names, steps

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._watched, name)
        if name not in self._names:
            return value

        def step(*args: Any, **kwargs: Any) -> Any:
            self._steps.take(name)
            result = value(*args, **kwargs)
            return Watched(result, WRITER_STEPS, self._steps) if name == "open" else result

        return step


def run(folder: Path, export_time: str, steps: Steps) -> Outcome:
    """Deliver in this process."""
    world = World(folder)
    context = world.context
    open_files, open_audience = context.open_destination, context.open_audience
    state = Watched(context.open_state(), DESTINATION_STEPS, steps)
    world.__dict__["context"] = replace(
        context,
        ledger=Watched(context.ledger, LEDGER_STEPS, steps),  # type: ignore[arg-type]
        open_destination=lambda connection: Watched(open_files(connection), DESTINATION_STEPS, steps),  # type: ignore[arg-type, return-value]
        open_audience=lambda connection: Watched(open_audience(connection), AUDIENCE_STEPS, steps),  # type: ignore[arg-type, return-value]
        open_state=lambda: state,  # type: ignore[arg-type, return-value]
    )
    return world.deliver_after_lease(export_time, run_id=f"run-{os.getpid()}")


if __name__ == "__main__":
    hurry()
    holding.HEARTBEAT_SECONDS = 3600.0  # a heartbeat that is stopped in a transaction would keep SQLite locked
    _, folder, export_time, interrupt, before = sys.argv
    steps = Steps(signal.SIGKILL if interrupt == "kill" else signal.SIGSTOP, int(before) if before.lstrip("-").isdigit() else before)
    outcome = run(Path(folder), export_time, steps)
    print(json.dumps({"steps": steps.taken, "status": outcome.status, "sent": outcome.sent, "error": str(outcome.error or "")}))
