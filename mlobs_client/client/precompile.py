"""Compile the networks before the run starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Final

from mlobs_client.client.total_energy import batches, predict
from mlobs_client.evaluate.compile.networks import CompilationState
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.evaluate.mace.evaluator import MaceEvaluator
from mlobs_client.structure import Structure
from mlobs_client.terms.term import Term

POLL_INTERVAL: Final = 1.0  # seconds between two checks of a compilation, which needs the processor


def compile_ahead(
    structures: Sequence[Structure],
    evaluators: Sequence[Evaluator],
    terms: Sequence[Term] = (),
    wanted: frozenset[str] = frozenset(),
    report: Callable[[], None] = lambda: None,
) -> frozenset[CompilationState]:
    """Evaluate structures until the networks are compiled for each batch, or cannot be compiled.

    Args:
        structures: structures of one step.
        evaluators: evaluators whose networks are compiled on first use.
        terms: see :func:`mlobs_client.client.total_energy.predict`.
        wanted: see :func:`mlobs_client.client.total_energy.predict`.
        report: called at intervals while a compilation runs.

    Returns:
        The final states of all networks for all batches; the log has the reason for a failure.

    Raises:
        EvaluationError: see :func:`mlobs_client.client.total_energy.predict`.
    """
    networks = [evaluator for evaluator in evaluators if isinstance(evaluator, MaceEvaluator)]

    def states_after(batch: Sequence[Structure]) -> frozenset[CompilationState]:
        predict(batch, evaluators, terms, wanted)
        return frozenset[CompilationState]().union(
            *(evaluator.compilation for evaluator in networks)
        )

    endings: set[CompilationState] = set()
    for batch in batches(structures, evaluators):
        while CompilationState.WAITING in (states := states_after(batch)):
            report()
            time.sleep(POLL_INTERVAL)
        endings |= states
    return frozenset(endings)
