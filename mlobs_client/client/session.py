"""The client without its socket: it turns structures into replies for i-PI.

The socket client, the plug-in for ``i-pi-driver-py`` and ``<ffdirect>``, and the tests use the same
:class:`ClientSession`, so they give the same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Self

import numpy as np

from mlobs_client.client import config as client_file
from mlobs_client.client.alphas import read_alphas, report_alphas
from mlobs_client.client.build import ClientModels, assemble, model_files
from mlobs_client.client.config import ClientConfig, Limits
from mlobs_client.client.limits import REFUSED, check_limits, keep_refused
from mlobs_client.client.needs import check_needs
from mlobs_client.client.schedule import Schedule
from mlobs_client.client.spread_watch import SpreadWatch
from mlobs_client.client.steps import StepCounter
from mlobs_client.client.total_energy import predict
from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.model_files import digest
from mlobs_client.record.header import Attributes
from mlobs_client.record.writer import RecordWriter, open_next_record
from mlobs_client.structure import Array, Prediction, Structure, fills_cell
from mlobs_client.wire import extras
from mlobs_client.wire.protocol import Reply, count_without_padding

logger = logging.getLogger(__name__)


class ClientSession:
    """Turns structures into replies, with the models, terms and record of one client.

    The structure of the client file is evaluated once at the start, so that errors of the models
    are found before the client connects to i-PI.

    Args:
        config: the client file.
        assembly: its models, from :func:`mlobs_client.client.build.assemble`.
        record_path: path of the record for the observables of ``[observables] record``.
        attributes: attributes of the record, the origin of its numbers.
        step: step of i-PI at the first request, for a client that answers all structures of all
            steps; None if it is not known, so that all observables are evaluated at every step.

    Raises:
        MissingObservable: no model gives an observable that the client file needs.
        EvaluationError: the models cannot evaluate the structure.
        RecordError: the record cannot be written.
    """

    def __init__(
        self,
        config: ClientConfig,
        assembly: ClientModels,
        record_path: Path | str,
        attributes: Attributes,
        step: int | None = None,
    ) -> None:
        record_path = Path(record_path)
        self._assembly = assembly
        self._limits = config.limits
        self._are_limited = config.limits != Limits()
        self._refused = record_path.with_name(REFUSED)
        self._extras = config.observables.extras
        self._recorded = config.observables.record
        self._record: RecordWriter | None = None
        self._schedule = Schedule(config.observables.strides)
        self._always = None if self._schedule.depends_on_step else self._schedule.due(None)
        self._steps = StepCounter(step)
        self._last: Structure | None = None  # of the request before
        self._is_first = True  # no request was seen yet
        self._watch = SpreadWatch(assembly.alphas)
        report_alphas(assembly.alphas, self._wanted(self._schedule.due(None)))
        if step is None and self._schedule.depends_on_step:
            logger.warning(
                "[observables] stride has no effect, because this client does not know the steps "
                "of i-PI: all observables are evaluated at every step; where one client answers "
                "all beads, 'mlobs run' tells it the step, and so does 'mlobs client --step N'"
            )
        (first,) = self._predict([assembly.structure], self._schedule.due(None))
        check_virial(first, assembly.structure, config)
        if self._recorded:
            columns = self._columns(first, assembly.structure)
            shapes = {name: np.shape(value) for name, value in columns.items()}
            self._record = open_next_record(record_path, shapes, attributes)

    @classmethod
    def from_file(cls, path: Path | str, name: str = "", step: int | None = None) -> Self:
        """Load the models of a client file and open its record.

        Args:
            path: path of the client file.
            name: if given, ``-NAME`` is added to the name of the record; if another
                client has that record, a number is added, too.
            step: step of i-PI at the first request; None if it is not known.

        Raises:
            ConfigError: the client file is not valid.
            MissingObservable: a table needs an observable that no model gives.
            ModelError: a model file is missing, corrupt or for other species.
        """
        path = Path(path)
        config = client_file.load_config(path)
        check_needs(config)
        assembly = assemble(config, path.parent)
        record = path.parent / config.observables.record_file
        if name:
            record = record.with_stem(f"{record.stem}-{name}")
        return cls(config, assembly, record, describe(config, path), step)

    def __call__(
        self, cells: Array, positions: Array, batch_size: int | None = None
    ) -> list[Reply]:
        """Evaluate structures.

        i-PI fills up batches with repeats of the last structure, and its own driver passes them
        on: the structure and its repeats are evaluated and recorded once.

        Args:
            cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
            positions: shape ``(n_structures, n_atoms, 3)``, bohr.
            batch_size: number of structures that a request can hold; needed if the repeats were
                left out.

        Returns:
            A reply for each structure, Hartree atomic units.

        Raises:
            ConfigError: the number of atoms that i-PI sends is not that of the client file.
            EvaluationError: a model gave NaN or cannot evaluate a structure, or a prediction
                exceeds [limits]; the structures of the request are written to ``refused.xyz``.
        """
        template = self._assembly.structure
        if positions.shape[1] != template.n_atoms:
            raise ConfigError(
                f"i-PI sends {positions.shape[1]} atoms, but the structure of the client file has "
                f"{template.n_atoms}; both must have the same atoms in the same order"
            )
        self._compare_periodicity(cells[0], positions[0])
        n_real = count_without_padding(cells, positions)
        structures = [
            replace(template, cell=cell, positions=position)
            for cell, position in zip(cells[:n_real], positions[:n_real], strict=True)
        ]
        due = self._always
        if due is None:
            due = self._schedule.due(self._count_step(structures, batch_size or len(cells)))
        try:
            predictions = self._predict(structures, due)
            if self._are_limited:
                check_limits(predictions, self._limits)
        except EvaluationError as error:
            kept = keep_refused(structures, self._refused)
            raise EvaluationError(f"{error}; {kept}") from error
        rows = self._append(predictions, structures, due)
        replies = [
            self._reply(prediction, row, due)
            for prediction, row in zip(predictions, rows, strict=True)
        ]
        return replies + [replies[-1]] * (len(cells) - n_real)

    def _compare_periodicity(self, cell: Array, positions: Array) -> None:
        """Warn once if i-PI has a liquid or a solid, but the client file has a molecule."""
        if self._is_first and not any(self._assembly.structure.pbc) and fills_cell(positions, cell):
            logger.warning(
                "the structure of the client file is not periodic, but its atoms fill the cell of "
                "i-PI: forces between images are left out; 'mlobs check' says how to make it "
                "periodic"
            )
        self._is_first = False

    def _count_step(self, structures: Sequence[Structure], batch_size: int) -> Iterable[int] | None:
        last, self._last = self._last, structures[-1]
        repeats = last is not None and (
            np.array_equal(last.positions, structures[0].positions)
            and np.array_equal(last.cell, structures[0].cell)
        )
        return self._steps.advance(len(structures), batch_size, repeats=repeats)

    def _predict(self, structures: Sequence[Structure], due: frozenset[str]) -> list[Prediction]:
        terms = self._assembly.terms
        wanted = self._wanted(due)
        evaluated = wanted.union(*(term.needs for term in terms))
        if not self._watch.watched:
            return predict(structures, self._assembly.evaluators, terms, wanted)
        wanted |= self._watch.needs(evaluated)
        predictions = predict(structures, self._assembly.evaluators, terms, wanted)
        for prediction, structure in zip(predictions, structures, strict=True):
            self._watch.check(prediction.observables, structure.n_atoms)
        return predictions

    def _wanted(self, due: frozenset[str]) -> frozenset[str]:
        limited = self._limits.energy_spread is not None
        return due - {"positions"} | ({"energy_spread"} if limited else frozenset())

    def _columns(self, prediction: Prediction, structure: Structure) -> dict[str, Array]:
        columns = {
            name: structure.positions if name == "positions" else prediction.observables[name]
            for name in self._recorded
        }
        # positions without their cell could not be observed again
        return {**columns, "cell": structure.cell} if "positions" in columns else columns

    def _append(
        self,
        predictions: Sequence[Prediction],
        structures: Sequence[Structure],
        due: frozenset[str],
    ) -> Sequence[Mapping[str, int | str]]:
        """Append to the record before the reply, so that a row that i-PI knows of is safe."""
        if self._record is None or not due.issuperset(self._recorded):
            return [{}] * len(predictions)
        rows = self._record.append(
            [self._columns(p, s) for p, s in zip(predictions, structures, strict=True)]
        )
        return [{"record_row": row, "record": self._record.path.name} for row in rows]

    def _reply(
        self, prediction: Prediction, row: Mapping[str, int | str], due: frozenset[str]
    ) -> Reply:
        virial = np.zeros((3, 3)) if prediction.virial is None else prediction.virial
        sent = {name: prediction.observables[name] for name in self._extras if name in due}
        text = extras.encode({**sent, **row}) if sent or row else b""
        return Reply(prediction.energy, prediction.forces, virial, text)

    def close(self) -> None:
        """Close the record."""
        if self._record is not None:
            self._record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def check_virial(prediction: Prediction, structure: Structure, config: ClientConfig) -> None:
    """Refuse models without a strain derivative if a virial may be needed.

    Without periodicity it is not needed: i-PI gets zeros, as with ``virial = "none"``.

    Args:
        prediction: prediction for the structure.
        structure: structure of the client file.
        config: the client file.

    Raises:
        EvaluationError: there is no virial, and the client file has no ``virial = "none"``.
    """
    if prediction.virial is not None or config.virial == "none":
        return
    if any(structure.pbc):
        raise EvaluationError(
            "a model of this client has no strain derivative, so there is no virial; for runs at "
            'constant volume write virial = "none" at the top of the client file'
        )
    logger.info(
        "the models have no strain derivative: i-PI gets a zero virial, and pressures mean "
        "nothing; the structure is not periodic, so nothing else needs it"
    )


def describe(config: ClientConfig, path: Path) -> dict[str, str | float]:
    """Return the origin of the numbers of a client: its file, models, alphas and mlobs version.

    Args:
        config: the client file.
        path: path of the client file.
    """
    models = model_files(config, path.parent)
    alphas = read_alphas(config, path.parent)
    return {
        **{f"alpha_{quantity}": alpha.value for quantity, alpha in alphas.items()},
        "client_file": path.read_text(encoding="utf-8"),
        "models": "\n".join(f"{digest(model)}  {model.name}" for model in models),
        "mlobs": version("mlobs"),
    }
