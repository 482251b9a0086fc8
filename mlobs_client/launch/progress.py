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
from mlobs_client.launch.sections import read_tail
from mlobs_client.launch.stamps import is_new, stamps
from mlobs_client.structure import Array
from mlobs_client.units import EV, FEMTOSECOND, KELVIN

TAIL: Final = 1 << 14  # bytes at the end of a file that hold its last line
LONG_TAIL: Final = 1 << 18  # bytes at the end of properties that are averaged
LAST_PART: Final = 0.25  # of all steps
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


@dataclass(frozen=True)
class Recent:
    """The temperature over the last part of a run, K.

    Attributes:
        mean: mean over its rows.
        deviation: standard deviation of one row.
        since: first step of the part.
        n_rows: number of rows.
    """

    mean: float
    deviation: float
    since: int
    n_rows: int


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
        self._timestep = timestep_of(ipi)
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

    def read_recent(self) -> Recent | None:
        """Average the temperature over the last quarter of all steps; None if it is not written.

        No more is read than the end of the file. With several systems, the hottest one counts.
        """
        found: Recent | None = None
        for path in self._properties:
            steps, temperatures = self._read_rows(path, LONG_TAIL)
            if temperatures is None or not len(steps):
                continue
            part = steps >= (1.0 - LAST_PART) * steps[-1]
            with np.errstate(invalid="ignore", over="ignore"):  # of a run that has exploded
                mean, variance = np.mean(temperatures[part]), np.var(temperatures[part])
            n_rows = int(np.sum(part))
            deviation = float(np.sqrt(variance * n_rows / max(1, n_rows - 1)))
            if found is None or not mean <= found.mean:
                found = Recent(float(mean), deviation, int(steps[part].min()), n_rows)
        return found

    def _read_properties(self, path: Path) -> tuple[int | None, float | None]:
        steps, temperatures = self._read_rows(path, TAIL)
        if not len(steps):
            return None, None
        return int(steps[-1]), None if temperatures is None else float(temperatures[-1])

    def _read_rows(self, path: Path, n_bytes: int) -> tuple[Array, Array | None]:
        """Read steps, and temperatures (K) if there are any, from the end of a file."""
        columns = _read_columns(path) if self._is_new(path) else {}
        if "step" not in columns:
            return np.empty(0), None
        n_columns = max(one.columns.stop for one in columns.values())
        rows = [row for row in _last_rows(path, n_bytes) if len(row) == n_columns]
        table = np.array(rows).reshape(-1, n_columns)
        steps = table[:, columns["step"].columns.start]
        is_number = np.isfinite(steps) & (steps >= 0.0)
        column = columns.get("temperature")
        if column is None or column.unit not in TEMPERATURE_UNITS:
            return steps[is_number], None
        temperatures = table[is_number, column.columns.start] * TEMPERATURE_UNITS[column.unit]
        return steps[is_number], temperatures

    def _read_spread(self, base: Path) -> float | None:
        beads = _beads(base)
        if not beads or not self._is_new(beads[0]):
            return None
        row = next(reversed(_last_rows(beads[0], TAIL)), [])
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


def timestep_of(ipi: IpiInput) -> float | None:
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


def _last_rows(path: Path, n_bytes: int) -> list[list[float]]:
    """Return the numbers in the complete lines at the end of a file, none for other lines."""
    text = read_tail(path, n_bytes)
    is_whole = len(text) < n_bytes
    rows = []
    for line in text.split("\n")[0 if is_whole else 1 : -1]:
        try:
            rows.append([float(number) for number in line.split()])
        except ValueError:
            rows.append([])
    return rows
