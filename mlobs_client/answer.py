"""The whole client but the wire: geometries in, replies for i-PI out.

The socket client, the plug-in for ``i-pi-driver-py`` and ``<ffdirect>``, and the tests all use
the same :class:`Answer`, so they give the same numbers.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from mlobs_client import config as client_file
from mlobs_client.build import Assembly, build
from mlobs_client.config import ClientConfig
from mlobs_client.errors import ConfigError, EvaluationError
from mlobs_client.evaluate.fuse import predict
from mlobs_client.record.writer import RecordWriter
from mlobs_client.structure import Array, Prediction
from mlobs_client.wire import extras
from mlobs_client.wire.protocol import Reply

logger = logging.getLogger(__name__)


class Answer:
    """Replies to geometries, with the models, terms and record of one client.

    Args:
        config: the client file.
        assembly: what :func:`mlobs_client.build.build` made of it.
        record: where large observables go; None where the client file names none.
    """

    def __init__(
        self, config: ClientConfig, assembly: Assembly, record: RecordWriter | None = None
    ) -> None:
        self._structure = assembly.structure
        self._evaluators = assembly.evaluators
        self._terms = assembly.terms
        self._allow_no_virial = config.virial == "none"
        self._extras = config.observables.extras
        self._recorded = config.observables.record
        self._record = record

    @classmethod
    def from_file(cls, path: Path, name: str = "client") -> Self:
        """Build everything that a client file describes.

        Args:
            path: of the client file.
            name: tells the records of several clients apart.

        Raises:
            ConfigError: the client file says something impossible.
            ModelError: a model file is missing, corrupt or for other species.
        """
        config = client_file.load(path)
        assembly = build(config, path.parent)
        record = None
        if config.observables.record:
            record_path = path.parent / config.observables.record_file
            record = RecordWriter(record_path.with_stem(f"{record_path.stem}-{name}"))
        return cls(config, assembly, record)

    def __call__(self, cells: Array, positions: Array) -> list[Reply]:
        """Evaluate geometries.

        Args:
            cells: shape ``(n_structures, 3, 3)``, bohr, lattice vectors are rows.
            positions: shape ``(n_structures, n_atoms, 3)``, bohr.

        Raises:
            ConfigError: i-PI sends another number of atoms than the client file describes.
            EvaluationError: a model gave NaN, or cannot treat a geometry.
        """
        n_atoms = self._structure.n_atoms
        if positions.shape[1] != n_atoms:
            raise ConfigError(
                f"i-PI sends {positions.shape[1]} atoms, but the structure of the client file has "
                f"{n_atoms}; both must be the same atoms in the same order"
            )
        structures = [
            replace(self._structure, cell=cell, positions=position)
            for cell, position in zip(cells, positions, strict=True)
        ]
        wanted = frozenset({*self._extras, *self._recorded} - {"positions"})
        predictions = predict(structures, self._evaluators, self._terms, wanted)
        rows = self._append(predictions, positions)
        return [
            self._reply(prediction, row) for prediction, row in zip(predictions, rows, strict=True)
        ]

    def _append(
        self, predictions: Sequence[Prediction], positions: Array
    ) -> list[Mapping[str, int | str]]:
        """Record first: a row whose number has reached i-PI is safe."""
        if self._record is None:
            return [{} for _ in predictions]
        rows = []
        for prediction, position in zip(predictions, positions, strict=True):
            known = {**prediction.observables, "positions": position}
            row = self._record.append({name: known[name] for name in self._recorded})
            rows.append({"record_row": row, "record": self._record.path.name})
        return rows

    def _reply(self, prediction: Prediction, row: Mapping[str, int | str]) -> Reply:
        if prediction.virial is None and not self._allow_no_virial:
            raise EvaluationError(
                "a model of this client has no strain derivative, so there is no virial; for runs "
                'at constant volume write virial = "none" in the client file'
            )
        virial = np.zeros((3, 3)) if prediction.virial is None else prediction.virial
        sent = {name: prediction.observables[name] for name in self._extras}
        return Reply(prediction.energy, prediction.forces, virial, extras.encode({**sent, **row}))

    def close(self) -> None:
        """Finish the record."""
        if self._record is not None:
            self._record.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
