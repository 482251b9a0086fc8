"""Test the models of a client file, on a few atoms."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.check.capture import Caught, caught
from mlobs_client.check.digits import check_energy
from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.check.ipi_parser import ParsedInput
from mlobs_client.client.build import ClientModels, assemble
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.service import ClientFile
from mlobs_client.client.session import ClientSession
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import EvaluationError
from mlobs_client.evaluate.evaluation import Evaluator
from mlobs_client.progress import Progress, silent
from mlobs_client.quantities import predicted
from mlobs_client.structure import Structure
from mlobs_client.terms.displacement import FixedDisplacement
from mlobs_client.terms.field import UniformField, UnwrappedPositions
from mlobs_client.terms.sum_rule import AcousticSumRule
from mlobs_client.terms.term import Term
from mlobs_client.testing.conformance import Report, check_evaluator, check_term, check_translations
from mlobs_client.units import ANGSTROM, EV

N_SAMPLED: Final = 2  # atoms
STEPS: Final = {"float64": 0.01, "float32": 0.05}  # bohr
# relative error: a spread is a small difference of large numbers; a wrong sign or index is 1
TOLERANCES: Final = {"float64": 1e-4, "float32": 1e-2}
# bohr, as atoms vibrate: near a minimum, errors are judged by the forces at this distance from it,
# since those of self-consistent charges have an error of 1e-6 Eh/bohr wherever they are evaluated
AMPLITUDE: Final = 0.1
WRITTEN: Final = {
    UniformField: "[field]",
    FixedDisplacement: "[displacement]",
    AcousticSumRule: "sum_rule",
    UnwrappedPositions: "the test of unwrapped positions",
}
"""Name of each term in findings."""


def check_models(
    client: ClientFile,
    floatformat: str | None = None,
    start: ParsedInput | None = None,
    say: Progress = silent,
) -> Iterator[Finding]:
    """Load the models, evaluate them as in a run, and compare derivatives with finite differences.

    The derivatives are forces, forces of a field, virials and Born charges. The dipole may change
    only by its quanta when an atom is moved by a lattice vector. Output of the models is not shown.

    Args:
        client: client file that names the models.
        floatformat: format in which i-PI writes energies; None skips the check of their digits.
        start: the input as i-PI reads it, for the forces on its first structure.
        say: called with the next activity, which may take minutes, and after each of its parts.

    Raises:
        ConfigError: settings do not fit the structure.
        MissingObservable: a table needs an observable that no model gives.
        ModelError: a model file is missing, corrupt or for other species.
        EvaluationError: the models give no numbers for the structure, or no virial.
    """
    # over before a compilation pays, which would take a core from it
    config, name = client.config.model_copy(update={"compile": False}), client.path.name
    said = Caught()
    with _during(f"loading the models of {name}", say), caught(said):
        assembly = assemble(config, client.path.parent)
        energy = _answer_once(client, assembly)
    yield ok(f"{name}: the models give finite numbers for the structure")
    if floatformat is not None:
        yield from check_energy(energy, floatformat, name)
    structure = _shaken(assembly.structure)
    for evaluator in assembly.evaluators:
        what = " and ".join(sorted(evaluator.provides & {row.name for row in predicted()}))
        activity = f"{name}: comparing derivatives of {what} with finite differences"
        with _during(activity, say) as progress, caught(said):
            reports = _check_evaluator(evaluator, structure, _precision(config), progress)
        for report in reports:
            yield from _judge(f"{name}: {what}", report)
    for term in assembly.terms:
        subject = WRITTEN[type(term)]
        activity = f"{name}: comparing the forces of {subject} with finite differences"
        with _during(activity, say) as progress, caught(said):
            report = _check_term(assembly, term, structure, _precision(config), progress)
        yield from _judge(f"{name}: {subject} with all models", report)
    if start is not None and len(start.names) == structure.n_atoms:
        with caught(said):
            largest = _largest_force(assembly, start)
        yield ok(f"{name}: on the first structure of i-PI, the largest force is {largest}")
    yield from said.findings(name)
    yield from _virial(client, assembly)


@contextlib.contextmanager
def _during(activity: str, say: Progress) -> Iterator[Progress]:
    """Announce an activity and its end; yield the function that reports its progress."""
    say(activity, 0, 1)
    try:
        yield lambda by, done, total: say(f"{activity} ({by})", done, total)
    finally:
        say(activity, 0, 0)


def _virial(client: ClientFile, assembly: ClientModels) -> Iterator[Finding]:
    """Find a client that sends no virial; with a periodic structure, it would not start."""
    name = client.path.name
    if client.config.virial == "none":
        yield warning(
            f'{name}: virial = "none", so i-PI may get a zero virial',
            "run only at constant volume, and ignore pressures",
        )
    elif not any(assembly.structure.pbc):
        (found,) = predict([assembly.structure], assembly.evaluators, assembly.terms)
        if found.virial is None:
            yield ok(f"{name}: sends no virial, and a structure without periodicity needs none")


def _largest_force(assembly: ClientModels, start: ParsedInput) -> str:
    """Return the largest force on i-PI's first structure, as text."""
    structure = replace(assembly.structure, positions=start.positions, cell=start.cell)
    (found,) = predict([structure], assembly.evaluators, assembly.terms)
    forces = np.linalg.norm(found.forces, axis=1) * ANGSTROM / EV
    atom = int(forces.argmax())
    return f"{forces[atom]:.4g} eV/angstrom, on {start.names[atom]}{atom + 1}"


def _answer_once(client: ClientFile, assembly: ClientModels) -> float:
    """Evaluate the structure of the client file as for a request from i-PI.

    Returns:
        The energy, Eh.
    """
    structure = assembly.structure
    with (
        tempfile.TemporaryDirectory() as folder,
        ClientSession(client.config, assembly, Path(folder) / "check.h5", {}, step=0) as session,
    ):
        try:
            (reply,) = session(structure.cell[None], structure.positions[None])
        except EvaluationError as error:
            # without the words on where the structure was kept: it is the user's own
            text = str(error.__cause__ or error)
            raise EvaluationError(f"{client.path}: {text}") from error
    return float(reply.energy)


def _check_evaluator(
    evaluator: Evaluator, structure: Structure, dtype: str, progress: Progress
) -> list[Report]:
    tolerance = TOLERANCES[dtype]
    reports = [
        check_evaluator(
            evaluator,
            structure,
            step=STEPS[dtype],
            tolerance=tolerance,
            amplitude=AMPLITUDE,
            n_sampled=N_SAMPLED,
            progress=progress,
        )
    ]
    if any(structure.pbc):
        reports.append(check_translations(evaluator, structure, tolerance=tolerance, n_sampled=1))
    return reports


def _check_term(
    assembly: ClientModels, term: Term, structure: Structure, dtype: str, progress: Progress
) -> Report:
    return check_term(
        term,
        assembly.evaluators,
        structure,
        step=STEPS[dtype],
        tolerance=TOLERANCES[dtype],
        amplitude=AMPLITUDE,
        n_sampled=N_SAMPLED,
        progress=progress,
    )


def _judge(subject: str, report: Report) -> Iterator[Finding]:
    passed = [row for row in report.rows if row.passed]
    if passed:
        worst = max(row.relative for row in passed)
        names = ", ".join(row.what for row in passed)
        yield ok(f"{subject}: correct to within a relative error of {worst:.0e}: {names}")
    for row in report.rows:
        if not row.passed:
            yield error(
                f"{subject}: {row.what}: error {row.error:.1e} of {row.scale:.1e}, where "
                f"{row.allowed:.1e} is allowed (atomic units)",
                'do not run with this model; for single precision try dtype = "float64"',
            )


def _shaken(structure: Structure) -> Structure:
    """Displace atoms from symmetric positions, where even wrong derivatives vanish."""
    noise = np.random.default_rng(0).normal(scale=0.02, size=structure.positions.shape)
    return replace(structure, positions=structure.positions + noise)


def _precision(config: ClientConfig) -> str:
    """Return the lowest precision among the models."""
    dtypes = [getattr(table, "dtype", "float64") for table in config.models.values()]
    return "float32" if "float32" in dtypes else "float64"
