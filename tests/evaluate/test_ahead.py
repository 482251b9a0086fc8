"""Compilation ahead of use: every batch is waited for. What is compiled is in test_compile.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mlobs_client.evaluate import ahead, mace
from mlobs_client.evaluate.mace import MaceEvaluator
from mlobs_client.structure import Structure


class Compiling(MaceEvaluator):
    """Says of each new number of structures twice that it is not compiled yet."""

    def __init__(self, network: Any, batch: int) -> None:
        super().__init__(mace.potential({"it": network("potential")}), batch=batch)
        self.evaluated: list[int] = []

    def __call__(self, structures: Sequence[Structure], *rest: Any, **named: Any) -> Any:
        self.evaluated.append(len(structures))
        return super().__call__(structures, *rest, **named)

    @property
    def compiling(self) -> bool:
        return self.evaluated.count(self.evaluated[-1]) < 3


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ahead, "PAUSE", 0.0)


def test_each_batch_is_evaluated_until_it_is_compiled(network, water) -> None:
    evaluator = Compiling(network, batch=2)
    ahead.compile_ahead([water(1)] * 3, [evaluator])
    assert evaluator.evaluated == [1, 1, 1, 2, 2, 2]


def test_every_pause_is_reported(network, water) -> None:
    reports: list[None] = []
    evaluator = Compiling(network, batch=1)
    ahead.compile_ahead([water(1)], [evaluator], report=lambda: reports.append(None))
    assert len(reports) == 2


def test_what_needs_no_programs_is_evaluated_once(network, water) -> None:
    evaluator = MaceEvaluator(mace.potential({"it": network("potential")}))
    ahead.compile_ahead([water(1)], [evaluator], report=lambda: pytest.fail("nothing compiles"))
