"""Read the masses, temperature and beads of a run from i-PI's input, checkpoints and RESTART.

A RESTART and a checkpoint hold the masses of all atoms; an input holds those that differ
from i-PI's table of labels.

Source:
    i-PI 3.3.1, ``ipi/inputs/{beads,initializer,system,ensembles}.py``, ``init_stage1`` in
    ``ipi/engine/initializer.py``; names of outputs: ``ipi/engine/simulation.py``.
"""

from __future__ import annotations

import glob
import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi import input as ipi_input
from mlobs_client.ipi.dimensions import factor
from mlobs_client.ipi.labels import masses_of
from mlobs_client.ipi.system_templates import make_systems
from mlobs_client.ipi.tags import (
    array_of,
    attribute_of,
    checkpoint_names,
    count_beads,
    find_output,
    list_of,
    quantity_of,
)
from mlobs_client.structure import Array
from mlobs_client.units import DALTON

logger = logging.getLogger(__name__)

THERMOSTATTED: Final = frozenset({"nvt", "npt", "nst", "sc", "scnpt", "nvt-cc"})
"""Modes of ``<dynamics>`` whose mean kinetic energy corresponds to the ensemble temperature."""

KEEP: Final = "keep RESTART or a checkpoint of the run, which holds its masses, beside its outputs"

SAME_TEMPERATURE: Final = 0.005
"""Largest relative difference between roundings of one temperature, such as 298 and 298.15 K."""


@dataclass(frozen=True)
class System:
    """A ``<system>`` of an input or of a checkpoint.

    Attributes:
        path: path of the file.
        prefix: prefix of its outputs: that of ``<output>``, preceded by that of ``<system>`` if
            there is one, as in ``r0_simulation``.
        n_beads: number of beads of the ring polymer.
        temperature: temperature of the ensemble, kT, Eh; None if it is not written.
        dynamics: modes of all kinds of dynamics, for example ``nvt``.
        number: index of this system in the file, from 0.
        ensemble: index of its ensemble in replica exchange, from 0; None without exchange.
        checkpoints: file names of all ``<checkpoint>``, without the step.
        element: the tag itself.
    """

    path: Path
    prefix: str
    n_beads: int
    temperature: float | None
    dynamics: frozenset[str]
    number: int
    ensemble: int | None
    checkpoints: tuple[str, ...]
    element: ET.Element

    @property
    def is_checkpoint(self) -> bool:
        """True if the file holds the masses of all atoms."""
        return self.element.find("beads/m") is not None

    @property
    def is_thermostatted(self) -> bool:
        """True if the mean kinetic energy corresponds to :attr:`temperature`."""
        return bool(self.dynamics) and self.dynamics <= THERMOSTATTED

    @property
    def starts(self) -> list[Path]:
        """The files that ``<initialize>`` names and that exist; they may hold masses."""
        tags = [
            *self.element.findall("initialize/file"),
            *(m for m in self.element.findall("initialize/masses") if m.get("mode") != "manual"),
        ]
        paths = [self.path.parent / (one.text or "").strip() for one in tags]
        return [path for path in paths if path.is_file()]

    def masses(self, labels: tuple[str, ...]) -> Array | None:
        """Return the masses of all atoms.

        Args:
            labels: labels of the atoms along the run.

        Returns:
            Shape ``(n_atoms,)``, electron masses; None if the file leaves them to i-PI's table.

        Raises:
            ConfigError: the file has other atoms, or a file that it names cannot be read.
        """
        if not self.is_checkpoint:
            try:
                return self._initialized(labels)
            except (ValueError, RecordError) as error:
                raise ConfigError(f"{self.path}: <masses>: {error}") from error
        written = list_of(self.element.find("beads/names"))
        if written != labels:
            raise ConfigError(
                f"{self.path}: holds {len(written)} atoms {' '.join(written[:4])} ..., but the run "
                f"has {len(labels)} atoms {' '.join(labels[:4])} ...: it is from another run, and "
                "is not used; remove it from the folder"
            )
        return array_of(self.element.find("beads/m"))

    def _initialized(self, labels: tuple[str, ...]) -> Array | None:
        """Return the masses that ``<file>`` and ``<masses>`` of ``<initialize>`` set."""
        masses = None
        for tag in self.element.findall("initialize/*"):
            mode = attribute_of(tag, "mode", "chk")
            if tag.tag == "file" and mode not in ("chk", "ase"):
                masses = None
            elif tag.tag == "masses" and mode == "manual":
                masses = masses_of(labels) if masses is None else masses
                index = int(attribute_of(tag, "index", "-1"))
                unit = attribute_of(tag, "units", "")
                values = array_of(tag) * factor("mass", unit, str(self.path))
                masses[slice(None) if index < 0 else slice(index, index + 1)] = values
            elif tag.tag in ("file", "masses"):
                masses = self._of_file(tag, mode, labels)
        return masses

    def _of_file(self, tag: ET.Element, mode: str, labels: tuple[str, ...]) -> Array | None:
        """Return the masses that i-PI takes from the first structure of a file."""
        start = self.path.parent / (tag.text or "").strip()
        what = f"{self.path}: <{tag.tag} mode='{mode}'> names {start}"
        if not start.exists():
            raise ConfigError(f"{what}, which is not there; put it back, or {KEEP}")
        if mode == "chk":
            (first, *_) = read_systems(start)
            return first.masses(labels)
        try:
            return _read_masses(mode, start)
        except Exception as error:  # readers of ASE and i-PI raise anything
            raise ConfigError(f"{what}, which cannot be read: {error}; {KEEP}") from error


def find_systems(prefix: Path) -> list[System]:
    """Find the systems of a run in the files beside its outputs, checkpoints first.

    Args:
        prefix: prefix of the outputs, as in :class:`mlobs_client.studies.runs.Run`.

    Returns:
        Systems that write to this prefix, from RESTART, from the newest other checkpoint, and from
        all inputs. Unreadable files are named in the log.
    """
    folder = prefix.parent
    inputs = [*_read(folder.glob("*.xml"), prefix)]
    names = {name for one in inputs for name in one.checkpoints}
    kept = [path for name in names for path in folder.glob(f"{glob.escape(name)}*")]
    newest = sorted(kept, key=lambda path: -path.stat().st_mtime)[:1]
    checkpoints = [*_read(folder.glob("RESTART"), prefix), *_read(newest, prefix)]
    return [*checkpoints, *inputs]


def read_systems(path: Path) -> list[System]:
    """Read all systems of an input or of a checkpoint, including those of a ``<system_template>``.

    Raises:
        ConfigError: it is missing, is not XML, or is invalid.
    """
    root = ipi_input.parse(path)
    output = find_output(root)
    try:
        systems = [_read_system(path, output, *each) for each in enumerate(make_systems(root))]
        exchange = next(root.iter("remd"), None)
        if exchange is None:
            return systems
        held = array_of(exchange.find("repindex")).astype(int).tolist() or range(len(systems))
        return [replace(one, ensemble=e) for one, e in zip(systems, held, strict=True)]
    except (ValueError, RecordError) as error:
        raise ConfigError(f"{path}: {error}") from error


def ensemble_temperature(systems: Sequence[System]) -> float | None:
    """Return the temperature of the thermostats if the files of a run agree on it.

    Args:
        systems: result of :func:`find_systems`; a checkpoint takes precedence over inputs.

    Returns:
        kT, Eh; None without a thermostat, or if it is unknown.
    """
    told = systems[:1] if systems and systems[0].is_checkpoint else systems
    found = {one.temperature if one.is_thermostatted else None for one in told}
    return found.pop() if len(found) == 1 else None


def kinetic_temperature(systems: Sequence[System], quantity: str) -> float | None:
    """Return the temperature of velocities, kT, Eh; see :func:`ensemble_temperature`.

    Args:
        systems: result of :func:`find_systems`.
        quantity: ``v_centroid`` or ``velocities``. Velocities of P beads have P times the
            temperature, but a file does not show whether it holds one bead of several.
    """
    is_thermal = quantity == "v_centroid" or all(one.n_beads == 1 for one in systems)
    return ensemble_temperature(systems) if is_thermal else None


def is_same_temperature(found: Array | float, temperature: float) -> NDArray[np.bool_]:
    """Return whether temperatures agree to within rounding.

    Args:
        found: temperatures in any unit, shape ``(...)``.
        temperature: temperature in the same unit.

    Returns:
        Shape ``(...)``.
    """
    return np.asarray(np.isclose(found, temperature, rtol=SAME_TEMPERATURE, atol=0.0))


def _read(paths: Iterable[Path], prefix: Path) -> Iterator[System]:
    for path in sorted(paths):
        try:
            yield from (one for one in read_systems(path) if one.prefix == prefix.name)
        except ConfigError as error:
            logger.warning("%s is not used for the run: %s", path.name, error)


def _read_system(path: Path, output: ET.Element, number: int, tag: ET.Element) -> System:
    prefix, own = attribute_of(output, "prefix", "i-pi"), attribute_of(tag, "prefix", "")
    temperature = quantity_of(tag.find("ensemble/temperature"))
    return System(
        path,
        f"{own}_{prefix}" if own else prefix,
        count_beads(tag),
        None if temperature is None else temperature.in_atomic_units("temperature", str(path)),
        frozenset(attribute_of(one, "mode", "nve") for one in tag.iter("dynamics")),
        number,
        None,
        tuple(f"{prefix}.{name}" if prefix else name for name in checkpoint_names(output)),
        tag,
    )


def _read_masses(mode: str, path: Path) -> Array:
    """Return masses as i-PI does: from ASE's column or elements, or else from its own table."""
    if mode == "ase":
        import ase.io

        return np.asarray(ase.io.read(path, index=0).get_masses()) * DALTON
    from ipi.utils.io import read_file

    with path.open() as file:
        return np.array(read_file(mode, file)["atoms"].m)
