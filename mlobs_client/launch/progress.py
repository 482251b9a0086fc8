"""Follow the progress of a run in the output files of i-PI."""

from __future__ import annotations

import contextlib
import glob
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from mlobs_client.errors import RecordError
from mlobs_client.ipi.input import IpiInput
from mlobs_client.ipi.properties import PropertyColumn, read_header
from mlobs_client.launch.stamps import is_new, stamps
from mlobs_client.units import EV, FEMTOSECOND, KELVIN

TAIL: Final = 1 << 14  # bytes at the end of a file that hold its last line
HEAD: Final = 1 << 16  # bytes at the beginning that hold the header
DAY: Final = 86400.0  # s
TEMPERATURE_UNITS: Final = {"kelvin": 1.0, "atomic_unit": 1.0 / KELVIN, "": 1.0 / KELVIN}


@dataclass(frozen=True)
class Status:
    """The state of a run; None where i-PI's files do not show it.

    Attributes:
        step: last step that was written.
        total_steps: number of the last step of the run.
        ns_per_day: simulated time over wall time since the first step seen, ns/day.
        temperature: temperature, K.
        spread: committee spread of the energy, meV.
        n_clients: number of clients that are running.
    """

    step: int | None
    total_steps: int
    ns_per_day: float | None
    temperature: float | None
    spread: float | None
    n_clients: int

    def __str__(self) -> str:
        parts = [f"step {'?' if self.step is None else self.step}/{self.total_steps}"]
        if self.ns_per_day is not None:
            parts.append(f"{self.ns_per_day:.3g} ns/day")
        if self.temperature is not None:
            parts.append(f"{self.temperature:.0f} K")
        if self.spread is not None:
            parts.append(f"spread {self.spread:.1f} meV")
        parts.append(f"{self.n_clients} client{'' if self.n_clients == 1 else 's'}")
        return ", ".join(parts)


class Progress:
    """Reads the first ``<properties>`` with a step, and the extras ``energy_spread``.

    With several systems, these are the last step that all have made, and the highest temperature
    and spread.

    Args:
        ipi: the input.
        reads_old: whether to read existing files; otherwise they count as those of an earlier
            run until they change.
    """

    def __init__(self, ipi: IpiInput, *, reads_old: bool = False) -> None:
        self._ipi = ipi
        self._timestep = _timestep(ipi)
        self._first: tuple[int, float] | None = None
        steps = [output for output in ipi.properties if "step" in output.names]
        self._properties = ipi.files(steps[0].filename) if steps else []
        spreads = [output for output in ipi.trajectories if output.extras == ("energy_spread",)]
        self._spreads = ipi.files(spreads[0].filename) if spreads else []
        beads = [path for base in self._spreads for path in _beads(base)]
        self._before = {} if reads_old else stamps([*self._properties, *beads])

    def read(self, n_clients: int) -> Status:
        """Read the files."""
        rows = [self._read_properties(path) for path in self._properties]
        steps = [step for step, _ in rows if step is not None]
        step = min(steps) if steps and len(steps) == len(rows) else None
        return Status(
            step,
            self._ipi.total_steps,
            self._speed(step),
            _highest(temperature for _, temperature in rows),
            _highest(self._read_spread(path) for path in self._spreads),
            n_clients,
        )

    def _read_properties(self, path: Path) -> tuple[int | None, float | None]:
        if not self._is_new(path):
            return None, None
        columns = _read_columns(path)
        row = _last_row(path)
        if "step" not in columns or len(row) < max(one.columns.stop for one in columns.values()):
            return None, None
        temperature = None
        if (column := columns.get("temperature")) and column.unit in TEMPERATURE_UNITS:
            temperature = row[column.columns.start] * TEMPERATURE_UNITS[column.unit]
        return int(row[columns["step"].columns.start]), temperature

    def _read_spread(self, base: Path) -> float | None:
        beads = _beads(base)
        if not beads or not self._is_new(beads[0]):
            return None
        row = _last_row(beads[0])
        return row[0] / EV * 1e3 if len(row) == 1 else None

    def _speed(self, step: int | None) -> float | None:
        if step is None or self._timestep is None:
            return None
        now = time.monotonic()
        if self._first is None or step < self._first[0]:
            self._first = (step, now)
        done = step - self._first[0]
        elapsed = now - self._first[1]
        if done == 0 or elapsed == 0.0:
            return None
        return done * self._timestep * 1e-6 * DAY / elapsed

    def _is_new(self, path: Path) -> bool:
        """Return whether this run has written it; i-PI renames older files."""
        try:
            return is_new(path, self._before)
        except OSError:
            return False


def _beads(base: Path) -> list[Path]:
    """Return the files of all beads, in order."""
    return sorted(base.parent.glob(f"{glob.escape(base.name)}_*"))


def _highest(values: Iterable[float | None]) -> float | None:
    """Return the maximum, or NaN if there is any: a system that has exploded must be seen."""
    known = [value for value in values if value is not None]
    return float(np.max(known)) if known else None


def _timestep(ipi: IpiInput) -> float | None:
    """Return the time step in fs.

    Raises:
        RecordError: i-PI has no such unit.
    """
    if ipi.timestep is None:
        return None
    return ipi.timestep.in_atomic_units("time", f"{ipi.path}: <timestep>") / FEMTOSECOND


def _read_columns(path: Path) -> dict[str, PropertyColumn]:
    """Return the columns of properties by name; none if the header cannot be read."""
    with path.open("rb") as stream:
        head = stream.read(HEAD).decode("utf-8", "replace")
    with contextlib.suppress(RecordError):
        return {column.name: column for column in read_header(head.splitlines(), path)}
    return {}


def _last_row(path: Path) -> list[float]:
    """Return the numbers in the last complete line; none if it has other content."""
    with path.open("rb") as stream:
        end = stream.seek(0, 2)
        stream.seek(max(0, end - TAIL))
        complete = stream.read().decode("utf-8", "replace").split("\n")[:-1]
    with contextlib.suppress(ValueError, IndexError):
        return [float(number) for number in complete[-1].split()]
    return []
