"""Put the real models of a client file to the test, on a few atoms."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

import numpy as np

from mlobs_client.build import Assembly, build
from mlobs_client.check.agreement import ClientFile
from mlobs_client.check.digits import check_energy
from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.config import ClientConfig
from mlobs_client.conformance import Report, check_evaluator, check_term, check_translations
from mlobs_client.errors import MissingObservable
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.structure import Structure
from mlobs_client.terms.term import Term

N_SAMPLED: Final = 2  # atoms
STEPS: Final = {"float64": 0.01, "float32": 0.05}  # bohr
# relative error: a spread is a small difference of large numbers; a wrong sign or index is 1
TOLERANCES: Final = {"float64": 1e-4, "float32": 1e-2}


def check_models(client: ClientFile, floatformat: str | None = None) -> Iterator[Finding]:
    """Load the models and compare their derivatives with finite differences.

    Forces, field forces, virials, Born charges; and the dipole, which may change by its quanta
    only when an atom is moved by a lattice vector.

    Args:
        client: whose models.
        floatformat: in which i-PI writes their energies; None leaves that out.

    Raises:
        ConfigError: settings do not fit the structure.
        ModelError: a model file is missing, corrupt or for other species.
        EvaluationError: the models give no numbers for the structure.
    """
    config = client.config
    assembly = build(config, client.path.parent)
    yield ok(f"{client.path.name}: {len(assembly.evaluators)} families of models are loaded")
    structure = _shaken(assembly.structure)
    dtype = _precision(config)
    for evaluator in assembly.evaluators:
        what = " and ".join(sorted(evaluator.provides & {"energy", "dipole", "polarizability"}))
        subject = f"{client.path.name}: {what}"
        report = check_evaluator(
            evaluator,
            structure,
            step=STEPS[dtype],
            tolerance=TOLERANCES[dtype],
            n_sampled=N_SAMPLED,
        )
        yield from _judge(subject, report)
        if floatformat is not None and "energy" in evaluator.provides:
            energy = _energy(evaluator, assembly.structure)
            yield from check_energy(energy, floatformat, subject)
        if any(structure.pbc):
            report = check_translations(
                evaluator, structure, tolerance=TOLERANCES[dtype], n_sampled=1
            )
            yield from _judge(subject, report)
    for term in assembly.terms:
        yield from _check_term(client, assembly, term, structure, dtype)
    if config.virial == "none":
        yield warning(
            f'{client.path.name}: virial = "none", so i-PI may get a zero virial',
            "run at constant volume only, and ignore pressures",
        )


def _check_term(
    client: ClientFile, assembly: Assembly, term: Term, structure: Structure, dtype: str
) -> Iterator[Finding]:
    name = type(term).__name__
    try:
        report = check_term(
            term,
            assembly.evaluators,
            structure,
            step=STEPS[dtype],
            tolerance=TOLERANCES[dtype],
            n_sampled=N_SAMPLED,
        )
    except MissingObservable as lacking:
        yield error(
            f"{client.path.name}: {name} lacks an observable: {lacking}",
            f"add the model that gives it to {client.path.name}",
        )
        return
    yield from _judge(f"{client.path.name}: {name} with all models", report)


def _judge(subject: str, report: Report) -> Iterator[Finding]:
    passed = [row for row in report.rows if row.passed]
    if passed:
        worst = max(row.relative for row in passed)
        names = ", ".join(row.what for row in passed)
        yield ok(f"{subject}: as it must be, relative error at most {worst:.0e}: {names}")
    for row in report.rows:
        if not row.passed:
            yield error(
                f"{subject}: {row.what}: error {row.error:.1e} of {row.scale:.1e}, where "
                f"{row.allowed:.1e} is allowed (atomic units)",
                'do not run with this model; for single precision try dtype = "float64"',
            )


def _energy(evaluator: Evaluator, structure: Structure) -> float:
    found = evaluator([structure], frozenset({"energy"}), derivatives=False)
    return float(found.values[0]["energy"])


def _shaken(structure: Structure) -> Structure:
    """Leave symmetric places, where wrong derivatives vanish too."""
    noise = np.random.default_rng(0).normal(scale=0.02, size=structure.positions.shape)
    return replace(structure, positions=structure.positions + noise)


def _precision(config: ClientConfig) -> str:
    """Return the lowest precision among the models."""
    tables = (config.potential, config.dipole, config.polarizability)
    dtypes = [getattr(table, "dtype", "float64") for table in tables]
    return "float32" if "float32" in dtypes else "float64"
