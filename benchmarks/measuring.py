"""Runs of tasks, each in a process of its own, taken by turns so that a slow moment of the machine meets all alike."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Measured:
    """Seconds and peak memory (bytes); of several runs the medians."""

    seconds: float
    peak: int


def run(task: str, **arguments: Any) -> Measured:
    """Run a task of `benchmarks.tasks` once."""
    os.sync()  # what an earlier run left to be written is not this one's to wait for
    ended = subprocess.run(
        [sys.executable, "-m", "benchmarks.tasks", task, json.dumps(arguments)], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True
    )
    return Measured(**json.loads(ended.stdout.splitlines()[-1]))


def measured(module: str, *arguments: str) -> dict[str, float]:
    """Run a module that measures by itself."""
    os.sync()
    ended = subprocess.run([sys.executable, "-m", module, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(ended.stdout.splitlines()[-1])


def timed(command: Sequence[str], environ: dict[str, str]) -> Measured:
    """Run a whole process; its memory is not asked for."""
    begun = time.perf_counter()
    ended = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - begun
    if ended.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ended.stdout}{ended.stderr}")
    return Measured(seconds, 0)


def by_turns(repeats: int, *candidates: Callable[[int], Measured]) -> list[Measured]:
    """Each candidate `repeats` times (called with 0, 1, ...), one after the other, every second time backwards."""
    found: list[list[Measured]] = [[] for _ in candidates]
    for repeat in range(repeats):
        order = list(enumerate(candidates))
        for index, candidate in order if repeat % 2 == 0 else reversed(order):
            found[index].append(candidate(repeat))
    return [Measured(median(one.seconds for one in runs), int(median(one.peak for one in runs))) for runs in found]
