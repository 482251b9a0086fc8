"""Compilation ahead of use: every batch is waited for. What is compiled is in test_compile.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mlobs_client.client import precompile as ahead
from mlobs_client.evaluate.compile.background import Background
from mlobs_client.evaluate.compile.networks import CompilationState
from mlobs_client.evaluate.mace import evaluator as mace
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.structure import Structure


class Compiling(MaceEvaluator):
    """Says of each number of structures that it is compiled once it was evaluated so often."""

    def __init__(self, network: Any, batch: int, evaluations: int = 3) -> None:
        super().__init__(mace.potential({"it": network("potential")}), batch=batch)
        self.evaluations = evaluations
        self.evaluated: list[int] = []

    def __call__(self, structures: Sequence[Structure], *rest: Any, **named: Any) -> Any:
        self.evaluated.append(len(structures))
        return super().__call__(structures, *rest, **named)

    @property
    def compilation(self) -> frozenset[CompilationState]:
        ready = self.evaluated.count(self.evaluated[-1]) >= self.evaluations
        return frozenset({CompilationState.READY if ready else CompilationState.WAITING})


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "POLL_INTERVAL", 0.0)


def test_each_batch_is_evaluated_until_it_is_compiled(network, water) -> None:
    evaluator = Compiling(network, batch=2)
    ahead.compile_ahead([water(1)] * 3, [evaluator])
    assert evaluator.evaluated == [1, 1, 1, 2, 2, 2]


def test_every_pause_is_reported(network, water) -> None:
    reports: list[None] = []
    evaluator = Compiling(network, batch=1)
    ahead.compile_ahead([water(1)], [evaluator], report=lambda: reports.append(None))
    assert len(reports) == 2


def test_what_has_its_programs_is_evaluated_once(network, water) -> None:
    evaluator = Compiling(network, batch=2, evaluations=1)
    states = ahead.compile_ahead([water(1)] * 2, [evaluator], report=lambda: pytest.fail("ready"))
    assert evaluator.evaluated == [2]
    assert states == {CompilationState.READY}


def test_networks_that_nobody_wants_to_be_compiled_are_not_waited_for(network, water) -> None:
    evaluator = MaceEvaluator(mace.potential({"it": network("potential")}))
    assert ahead.compile_ahead([water(1)], [evaluator]) == {CompilationState.NONE}


def test_networks_that_are_not_needed_are_not_waited_for(network, water) -> None:
    setting = mace.Setting(background=Background(patience=60.0))
    evaluator = MaceEvaluator(
        mace.potential({"it": network("potential")}),
        mace.dipole({"it": network("dipole")}, setting=setting),
    )
    evaluator([water(1)], frozenset({"dipole"}))
    assert evaluator.compilation == {CompilationState.WAITING}
    assert ahead.compile_ahead([water(1)], [evaluator]) == {CompilationState.NONE}
