"""Load the models and the structure to be measured as a client would load them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from mlobs_client.bench.cases import PRECISIONS
from mlobs_client.client.build import ClientModels, assemble
from mlobs_client.client.config import ClientConfig
from mlobs_client.client.mace import MacePotential
from mlobs_client.client.precision import Rounding, compare
from mlobs_client.client.total_energy import batches
from mlobs_client.evaluate.evaluation import Precision


@dataclass(frozen=True)
class Subject:
    """The models and the structure to be measured.

    Attributes:
        models: files or patterns of one committee of potentials, as in a client file.
        structure: structure file in any format that ASE reads.
        compile: whether the networks are compiled.
    """

    models: tuple[str, ...]
    structure: str
    compile: bool

    def assemble(self, dtype: Precision, batch: int | None = None) -> ClientModels:
        """Assemble the models of a client; compilation, if requested, starts without delay.

        Raises:
            MlobsError: see :func:`mlobs_client.client.build.assemble`.
        """
        potential = MacePotential(kind="mace", models=self.models, dtype=dtype)
        config = ClientConfig(
            structure=self.structure, compile=self.compile, batch=batch, potential=potential
        )
        return assemble(config, Path(), compile_after=0.0)


@dataclass(frozen=True)
class Survey:
    """Properties of the models that are determined before the measurements.

    Attributes:
        n_atoms: number of atoms of the structure.
        estimate: batch size that a client chooses by itself.
        rounding: rounding errors of the forces in single precision.
    """

    n_atoms: int
    estimate: int
    rounding: Rounding


def survey(subject: Subject, beads: int) -> Survey:
    """Determine properties of the models by evaluating the structure once in each precision.

    So errors in the files show up before the measurements.

    Args:
        subject: models and structure to be measured.
        beads: structures of a step.

    Raises:
        MlobsError: a file is missing or damaged, the models are for other species, or they give
            numbers that are not finite.
    """
    as_they_are = replace(subject, compile=False)
    double, single = (as_they_are.assemble(dtype) for dtype in PRECISIONS)
    structure, (reference,), (rounded,) = double.structure, double.evaluators, single.evaluators
    return Survey(
        n_atoms=structure.n_atoms,
        estimate=max(map(len, batches([structure] * beads, double.evaluators))),
        rounding=compare(reference, rounded, structure),
    )
