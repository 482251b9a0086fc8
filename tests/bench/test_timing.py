"""Clients as processes: what they are given, how they are timed, and how they end."""

from __future__ import annotations

import itertools
import logging
import multiprocessing
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mlobs_client.bench import timing
from mlobs_client.bench.cases import Case
from mlobs_client.bench.subject import Subject
from mlobs_client.errors import LaunchError, ModelError
from mlobs_client.structure import Structure

CASE = Case("float64", batch=1, threads=1, clients=2, share=2)
MOLECULE = Structure(np.array([8, 1]), np.array([[0.0, 0, 0], [1.8, 0, 0]]), 20.0 * np.eye(3))


def ignore(case: Case, doing: str) -> None:
    pass


def test_clients_are_timed_and_leave_no_process(subject: Subject) -> None:
    said: list[tuple[Case, str]] = []
    cases = [CASE, replace(CASE, batch=2)]
    timings = list(timing.measure(subject, cases, 0.0, lambda *what: said.append(what)))
    assert [timing.case for timing in timings] == cases
    assert all(1e-4 < timing.seconds < 100 for timing in timings)
    assert said == [(case, what) for case in cases for what in ("loading", "measuring")]
    assert multiprocessing.active_children() == []


def test_all_clients_work_while_they_are_timed_and_the_slowest_counts() -> None:
    order: list[str] = []

    class Client:
        def __init__(self, seconds: float) -> None:
            self.seconds = seconds

        def ask(self, what: object) -> None:
            if isinstance(what, float):
                order.append("asked")

        def answer(self, report: object) -> object:
            if "asked" not in order:
                return timing._Prepared("")
            order.append("answered")
            return self.seconds

    clients: Any = [Client(2.0), Client(3.0), Client(1.0)]
    found = timing._measure(clients, CASE, 1.0, lambda doing: None)
    assert order == ["asked"] * 3 + ["answered"] * 3
    assert found.seconds == 3.0


def test_what_goes_wrong_in_a_client_is_raised_here(subject: Subject) -> None:
    wrong = replace(subject, models=("absent.model",))
    with pytest.raises(ModelError, match="matches no file"):
        list(timing.measure(wrong, [replace(CASE, clients=1)], 0.0, ignore))
    assert multiprocessing.active_children() == []


def test_an_interruption_ends_the_clients(subject: Subject) -> None:
    def interrupt(case: Case, doing: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(timing.measure(subject, [CASE], 0.0, interrupt))
    assert multiprocessing.active_children() == []


def test_a_client_that_is_killed_is_named_with_its_status(subject: Subject) -> None:
    def kill(case: Case, doing: str) -> None:
        for process in multiprocessing.active_children():
            process.kill()
            process.join()

    with pytest.raises(LaunchError, match=r"ended with status -9.*memory"):
        list(timing.measure(subject, [replace(CASE, clients=1)], 0.0, kill))


def test_a_client_has_the_threads_of_its_case() -> None:
    code = """
from multiprocessing import Pipe
from mlobs_client.bench.timing import _serve
ours, theirs = Pipe()
ours.close()
_serve(theirs, None, "float64", 2)
import torch
print(torch.get_num_threads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "2\n"


def test_positions_differ_between_steps_and_beads_by_little() -> None:
    steps = timing.frames(MOLECULE, 3)
    all_positions = [structure.positions for structures in steps for structure in structures]
    for first, second in itertools.combinations(all_positions, 2):
        # six numbers of this standard deviation
        assert 0.0 < np.abs(first - second).max() < 8 * timing.MOVEMENT


def test_the_first_batch_does_not_depend_on_the_share() -> None:
    all_beads, half = timing.frames(MOLECULE, 4)[0], timing.frames(MOLECULE, 2)[0]
    for one, other in zip(all_beads, half, strict=False):
        np.testing.assert_array_equal(one.positions, other.positions)


def pauses(*seconds: float, clock: pytest.MonkeyPatch) -> Callable[[], None]:
    """Steps that take so long."""
    now, left = [0.0], itertools.chain(seconds, itertools.repeat(seconds[-1]))
    clock.setattr(timing.time, "perf_counter", lambda: now[0])

    def step() -> None:
        now[0] += next(left)

    return step


def test_one_slow_step_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    step = pauses(9.0, 0.25, clock=monkeypatch)
    assert timing._median(step, 0.0) == 0.25


def test_steps_are_repeated_for_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch) -> None:
    step = pauses(*[4.0] * 5, 1.0, clock=monkeypatch)
    assert timing._median(step, 0.0) == 4.0
    step = pauses(*[4.0] * 5, 1.0, clock=monkeypatch)
    assert timing._median(step, 30.0) == 1.0


def test_only_what_is_said_of_compilation_is_remembered() -> None:
    complaints = timing._Complaints()
    for name in ("mlobs_client.evaluate.compile.networks", "mlobs_client.evaluate.model_files"):
        logger = logging.getLogger(name)
        logger.addHandler(complaints)
        logger.warning("of %s", name)
        logger.removeHandler(complaints)
    assert complaints.texts == ["of mlobs_client.evaluate.compile.networks"]


def test_a_client_says_when_it_waits_for_a_compilation(
    subject: Subject, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlobs_client.client import precompile as ahead

    monkeypatch.setattr(ahead, "compile_ahead", lambda *given, report: report())
    said: list[None] = []
    timing._prepare(subject, CASE, lambda: said.append(None))()
    assert len(said) == timing.N_FRAMES
