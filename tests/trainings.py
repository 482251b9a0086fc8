"""Trainings that take no time, fail, or never end, for other processes to import."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from mlobs_client.errors import ModelError

Report = Callable[[int, float], None]


def train(n_steps: int, report: Report) -> None:
    for step in range(1, n_steps + 1):
        report(step, 1.0 / step)


def fail(report: Report) -> None:
    report(1, 1.0)
    raise ModelError("the error is nan")


def vanish(report: Report) -> None:
    os._exit(3)


def train_for_ever(path: Path, report: Report) -> None:
    path.write_text(str(os.getpid()))
    while True:
        report(1, 1.0)
        time.sleep(0.01)
