"""Find the masses of the atoms of a run, and compare them with the velocities."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.analysis.vibrations.kinetics import kinetic_temperatures, masses_from_momentum
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.ipi.labels import masses_of
from mlobs_client.ipi.systems import System
from mlobs_client.results.estimate import Estimate
from mlobs_client.structure import Array
from mlobs_client.units import DALTON, KELVIN

logger = logging.getLogger(__name__)

SAME_MASS: Final = 0.02
"""Relative difference within which masses are the same: ratios from momenta are that precise,
tables differ by less, and isotopes by more."""

NOTABLE: Final = 1.05
"""Ratio of kinetic temperatures above which a significant difference is logged."""

OTHER_ISOTOPE: Final = 1.5
"""Ratio of kinetic temperatures above which another isotope is more likely than a run that is not
equilibrated: deuterium with the label H gives 2."""

SIGNIFICANT: Final = 5.0  # standard errors


@dataclass(frozen=True)
class Masses:
    """Masses of the atoms of a run, and their source.

    Attributes:
        labels: labels of the atoms.
        values: shape ``(n_atoms,)``, electron masses.
        source: name of their source, for example "RESTART".
        is_guess: True if the masses are known from the labels only.
    """

    labels: tuple[str, ...]
    values: Array
    source: str
    is_guess: bool

    def __str__(self) -> str:
        groups = self.groups()
        listed = (f"{name} {self.values[atoms][0] / DALTON:.4g}" for name, atoms in groups.items())
        return f"masses of {self.source}: {', '.join(listed)} u"

    def groups(self) -> dict[str, Array]:
        """Return the atoms of each label and mass, as booleans of shape ``(n_atoms,)``."""
        labels = np.array(self.labels)
        found: dict[str, Array] = {}
        for label in dict.fromkeys(self.labels):
            sizes = np.unique(self.values[labels == label])
            for mass in sizes:
                name = label if len(sizes) == 1 else f"{label}({mass / DALTON:.4g})"
                found[name] = (labels == label) & (self.values == mass)
        return found


def find_masses(
    labels: tuple[str, ...],
    systems: Sequence[System],
    given: Mapping[str, float],
    column: Array | None = None,
) -> Masses:
    """Find the masses of a run.

    Args:
        labels: labels of its atoms.
        systems: systems of files in the folder of the outputs; the first one with masses is used.
        given: masses that the user sets, by label, dalton.
        column: masses in the trajectory of the velocities, which take precedence over files, shape
            ``(n_atoms,)``, electron masses.

    Raises:
        ConfigError: a given mass is not positive, or no atom of the run has its label.
        RecordError: two inputs have different masses, or a mass is not a positive number.
    """
    masses = _of_files(labels, systems)
    if column is not None:
        masses = _of_column(masses, column)
    for label, mass in given.items():
        atoms = np.array(labels) == label
        if not atoms.any() or not (np.isfinite(mass) and mass > 0.0):
            raise ConfigError(
                f"mass {label}={mass:g}: give a positive number of u for one of the labels "
                f"{', '.join(dict.fromkeys(labels))}"
            )
        values = np.where(atoms, mass * DALTON, masses.values)
        source = f"{masses.source}, {label} as given"
        masses = replace(masses, values=values, source=source, is_guess=False)
    if not (np.isfinite(masses.values).all() and (masses.values > 0.0).all()):
        raise RecordError(f"{masses}: masses are positive numbers; give others with --mass LABEL=U")
    return masses


def check_masses(masses: Masses, velocities: Array, temperature: float | None, where: Path) -> None:
    """Compare masses with the velocities of a run; small disagreements are logged.

    Args:
        masses: masses of its atoms.
        velocities: velocities of its atoms, shape ``(t, n_atoms, 3)``, bohr/atu.
        temperature: kT of the thermostats, Eh; None if it is unknown or there are no thermostats.
        where: the run, for messages.

    Raises:
        RecordError: the momenta show other ratios of masses; or they show none, the masses are
            guessed from labels, and the kinetic temperatures of species differ as they would with
            another isotope.
    """
    groups = masses.groups()
    ratios = masses_from_momentum([velocities], groups)
    _refuse_other_ratios(masses, ratios, where)
    found = kinetic_temperatures([velocities], masses.values, groups)
    sure = {name: one for name, one in found.items() if not one.no_error}
    if masses.is_guess and len(groups) > 1 and len(sure) < len(found):
        name = next(name for name in found if name not in sure)
        logger.warning(
            "%s: the %s are not compared with the velocities, because the kinetic temperature of "
            "%s has no error bar (%s); for other isotopes keep RESTART beside the outputs, or give "
            "--mass LABEL=U",
            where,
            masses,
            name,
            found[name].no_error,
        )
    reference = {}
    if temperature is not None:
        reference["the ensemble"] = Estimate(temperature / KELVIN, 0.0, "K", np.inf)
    everything = sorted({**sure, **reference}.items(), key=lambda item: item[1].value)
    if len(everything) < 2:
        return
    (cold, coldest), (hot, hottest) = everything[0], everything[-1]
    ratio = hottest.value / coldest.value
    error = float(np.hypot(coldest.error, hottest.error))
    if ratio < NOTABLE or hottest.value - coldest.value < SIGNIFICANT * error:
        return
    listed = ", ".join(f"{name} {one}" for name, one in {**sure, **reference}.items())
    said = f"{where}: with the {masses}, the kinetic temperatures are {listed}"
    are_shown = ratios is not None and {cold, hot} <= ratios.keys()
    if masses.is_guess and ratio > OTHER_ISOTOPE and not are_shown:
        name, other = (cold, ratio) if cold in sure else (hot, 1.0 / ratio)
        mass = float(masses.values[groups[name]][0]) / DALTON
        raise RecordError(
            f"{said}; the run may have had other masses. Keep RESTART or the input of the run "
            f"beside its outputs, or give --mass {name}={mass * other:.4g}, or, if the masses are "
            f"right and the run is far from equilibrium, --mass {name}={mass:.4g}"
        )
    logger.warning("%s; the run is not at equilibrium, or has other masses", said)


def common_masses(masses: Sequence[Masses], prefixes: Sequence[Path]) -> Masses:
    """Return the masses that all runs share.

    Args:
        masses: masses of each run.
        prefixes: prefix of each run, for messages.

    Raises:
        RecordError: atoms or masses differ between runs.
    """
    first = masses[0]
    for prefix, other in zip(prefixes, masses, strict=True):
        same = other.labels == first.labels
        if not (same and np.allclose(other.values, first.values, rtol=SAME_MASS)):
            raise RecordError(
                f"{prefixes[0]} has {first}, but {prefix} has {other}; only runs of the same atoms "
                "can be combined"
            )
    return first


def _of_files(labels: tuple[str, ...], systems: Sequence[System]) -> Masses:
    said: list[Masses] = []
    for system in systems:
        try:
            values = system.masses(labels)
        except ConfigError as error:
            logger.warning("%s", error)
            continue
        if values is not None and values.shape != (len(labels),):
            logger.warning("%s: has %d masses, not %d", system.path, len(values), len(labels))
            continue
        by_labels = f"i-PI's table of labels, which {system.path.name} does not change"
        found = (masses_of(labels), by_labels) if values is None else (values, system.path.name)
        said.append(Masses(labels, *found, is_guess=False))
        if system.is_checkpoint:
            return said[-1]
    for other in said[1:]:
        if not np.allclose(other.values, said[0].values, rtol=SAME_MASS):
            raise RecordError(
                f"{said[0]}, but {other}; keep only the input of this run beside its outputs"
            )
    return said[0] if said else Masses(labels, masses_of(labels), "i-PI's table of labels", True)


def _of_column(others: Masses, column: Array) -> Masses:
    """Take the masses of a trajectory; warn if files have others."""
    found = Masses(others.labels, column, "the trajectory itself", is_guess=False)
    if not others.is_guess and not np.allclose(column, others.values, rtol=SAME_MASS):
        logger.warning("%s, which are used, but %s; --mass LABEL=U sets them", found, others)
    return found


def _refuse_other_ratios(masses: Masses, ratios: Mapping[str, float] | None, where: Path) -> None:
    if ratios is None:
        return
    used = {name: masses.values[atoms][0] / DALTON for name, atoms in masses.groups().items()}
    heaviest = max(ratios, key=used.__getitem__)
    found = {name: ratio * used[heaviest] / ratios[heaviest] for name, ratio in ratios.items()}
    if any(abs(mass / used[name] - 1.0) > SAME_MASS for name, mass in found.items()):
        listed = ", ".join(f"--mass {name}={mass:.4g}" for name, mass in found.items())
        raise RecordError(
            f"{where}: the centre of mass is at rest with masses in the ratio {listed}, and not "
            f"with the {masses}; give these, or keep RESTART beside the outputs"
        )
