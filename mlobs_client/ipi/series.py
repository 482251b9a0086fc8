"""Read an observable along a run, from any kind of file."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.continuation import say_other_beads
from mlobs_client.ipi.extras import Extras, extras_in, read_bead_extras, read_extras
from mlobs_client.ipi.frames import find_frames
from mlobs_client.ipi.properties import has_header, read_properties
from mlobs_client.structure import Array, Integers
from mlobs_client.units import DIPOLE_UNITS

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Kind:
    """An observable of the whole cell.

    Attributes:
        name: name of the observable.
        shape: shape at one step and bead.
        units: factors to atomic units, by unit.
        of_ase: unit in extended xyz.
    """

    name: str
    shape: tuple[int, ...]
    units: Mapping[str, float]
    of_ase: str


DIPOLE: Final = Kind("dipole", (3,), DIPOLE_UNITS, "e*angstrom")


@dataclass(frozen=True)
class Source:
    """The location of an observable of a run.

    Attributes:
        key: name of the extra, of the property, or of the entry or column of extended xyz.
        unit: unit of its numbers; empty if the file, or the program that wrote it, determines the
            unit.
        path: path of extras, properties or a trajectory of i-PI, of extended xyz, or of a table of
            numbers with a line for each step; without bead and file extension for the files of all
            beads. None to search with the prefix of the run.
    """

    key: str
    unit: str = ""
    path: Path | None = None


@dataclass(frozen=True)
class Series:
    """An observable along a run.

    Attributes:
        steps: shape ``(t,)``; counted from 0 if the file has none.
        values: ``[step, bead, ...]``, atomic units.
    """

    steps: Integers
    values: Array


def read_series(path: Path, source: Source, kind: Kind) -> Series:
    """Read an observable along a run.

    Args:
        path: path of the file.
        source: name and unit of the observable in the file.
        kind: the observable.

    Raises:
        RecordError: the file is missing, lacks the observable, or has other shapes or units.
    """
    steps, values, unit = _read(path, source.key, kind)
    if source.unit and unit is None:
        raise RecordError(f"{path}: gives its units itself; leave out --unit {source.unit}")
    if not source.unit and unit is not None and source.key != kind.name:
        logger.warning(
            "%s: gives no unit of %s; %s is assumed; --unit sets another", path, source.key, unit
        )
    scale = 1.0 if unit is None else kind.units[source.unit or unit]
    if values.ndim == 1 + len(kind.shape):
        values = values[:, None]
    if values.shape[2:] != kind.shape:
        raise RecordError(
            f"{path}: {source.key} has the shape {values.shape[2:]} at each step; a "
            f"{kind.name} has {kind.shape}"
        )
    return Series(steps, values * scale)


def _read(path: Path, key: str, kind: Kind) -> tuple[Integers, Array, str | None]:
    """Return steps, values and their unit, which is None if they are in atomic units already."""
    if not path.is_file():
        return *_from_extras(read_bead_extras(path), path, key), "atomic_unit"
    say_other_beads(path)
    try:
        with path.open(encoding="utf-8") as file:
            first = file.readline()
    except (OSError, UnicodeDecodeError) as error:
        raise RecordError(f"{path}: cannot be read as text: {error}") from error
    if extras_in(first):
        return *_from_extras(read_extras(path), path, key), "atomic_unit"
    if has_header(first):
        return *_from_properties(path, key), None
    if first.strip().isdigit():
        return *_from_extended(path, key, kind), kind.of_ase
    return *_from_table(path, kind), "atomic_unit"


def _from_extras(extras: Extras, path: Path, key: str) -> tuple[Integers, Array]:
    if key not in extras.values:
        raise RecordError(
            f"{path}: has no {key!r}; it has "
            f"{', '.join((*extras.values, *extras.texts))}: choose one with --key"
        )
    return extras.steps, extras.values[key]


def _from_properties(path: Path, key: str) -> tuple[Integers, Array]:
    properties = read_properties(path)
    values = properties[key]
    if "step" in properties.values:
        return properties["step"].astype(np.int64), values
    return _count(path, len(values)), values


def _from_extended(path: Path, key: str, kind: Kind) -> tuple[Integers, Array]:
    from ase.io.extxyz import key_val_str_to_dict

    values, steps = [], []
    with path.open("rb") as file:
        for place in find_frames(path):
            entries = key_val_str_to_dict(place.read(file)[0])
            if key not in entries:
                others = [one for one in entries if _can_be(entries[one], kind)]
                listed = f"it has {', '.join(others)}: choose one with --key"
                raise RecordError(
                    f"{path}:{place.line}: the second line has no {key!r}; "
                    + (listed if others else f"nothing else there can be a {kind.name}")
                )
            values.append(np.asarray(entries[key], dtype=np.float64))
            steps.append(place.step)
    if steps and min(steps) >= 0:
        return np.array(steps), np.array(values)
    return _count(path, len(values)), np.array(values)


def _can_be(entry: object, kind: Kind) -> bool:
    """Return whether an entry has the shape of an observable, and is not boolean, as ``pbc`` is."""
    array = np.asarray(entry)
    return array.shape == kind.shape and array.dtype.kind in "if"


def _from_table(path: Path, kind: Kind) -> tuple[Integers, Array]:
    try:
        table = np.loadtxt(path, ndmin=2)
    except ValueError as error:
        raise RecordError(
            f"{path}: holds neither extras nor properties of i-PI, nor extended xyz, nor a table "
            f"of numbers: {error}"
        ) from error
    n_columns = int(np.prod(kind.shape))
    if (found := table.shape[1]) != n_columns:
        said = f"{path}: has {found} columns; a table of a {kind.name} has {n_columns}"
        if found == n_columns + 1:
            kept = ", ".join(f"${column + 2}" for column in range(n_columns))
            said += (
                "; if the first one is a time or a step, leave it out: awk "
                f"'!/^#/ {{print {kept}}}' {path} > {path.with_stem(f'{path.stem}-{kind.name}')}"
            )
        raise RecordError(said)
    return _count(path, len(table)), table.reshape(-1, *kind.shape)


def _count(path: Path, n_entries: int) -> Integers:
    logger.warning(
        "%s: gives no steps; its %d entries are taken as consecutive steps", path, n_entries
    )
    return np.arange(n_entries)
