"""The runs of ``mlobs demo``, and how long they can be on this machine.

The demo promises to end within :data:`LIMIT` on any two cores, so its runs are shortened according
to the measured times of their steps. Figures and curves that would be too short are left out.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

TIMESTEP: Final = 0.0005  # ps, in all inputs
OUTPUT_STRIDE: Final = 4  # steps of 0.5 fs: lines up to 8000 cm^-1 stay below the Nyquist limit
LIMIT: Final = 480.0  # s: the promise for the whole demo
FIRST_LIMIT: Final = 180.0  # s: the promise for the first figure
USED: Final = 0.85
"""Fraction of both limits that is planned; virtual machines become slower for minutes."""
DRAWING: Final = 1.0
"""Time for all figures, in units of the longest start, which loads libraries as well."""
FIRST_DRAWING: Final = 0.5
"""Time for the first figure, in the same unit."""


class Kind(NamedTuple):
    """Properties of a run that determine the time of a step."""

    n_beads: int
    dtype: str
    is_in_field: bool


@dataclass(frozen=True)
class DemoRun:
    """One run of the demo.

    Attributes:
        name: name of the folder of the run.
        template: name of the folder of inputs from which the run is made.
        n_beads: number of beads; 1 for classical nuclei.
        field: electric field along z, V/angstrom.
        dtype: precision of the networks; double where the energy must be conserved.
    """

    name: str
    template: str
    n_beads: int = 1
    field: float = 0.0
    dtype: str = "float64"

    @property
    def kind(self) -> Kind:
        """Runs of one kind take the same time for a step."""
        return Kind(self.n_beads, self.dtype, self.field != 0.0)


BEADS: Final = 4
FIELDS: Final = (0.05, 0.1, 0.15)
QUANTUM: Final = DemoRun("trpmd", "water-trpmd", BEADS, dtype="float32")
CLASSICAL: Final = DemoRun("nve", "water-nve")
QUANTUM_IN_FIELDS: Final = tuple(
    DemoRun(f"trpmd-field-{field}", "water-trpmd-field", BEADS, field, "float32")
    for field in FIELDS
)
CLASSICAL_IN_FIELDS: Final = tuple(
    DemoRun(f"nve-field-{field}", "water-nve-field", field=field) for field in FIELDS
)
FIRST: Final = CLASSICAL_IN_FIELDS[1]
"""The run that gives the first figure."""
# after the first, the longest before the others, so that both cores are busy to the end
RUNS: Final = (
    QUANTUM, FIRST, CLASSICAL, *QUANTUM_IN_FIELDS, CLASSICAL_IN_FIELDS[0], CLASSICAL_IN_FIELDS[2],
)  # fmt: skip

OF_KINDS: Final = tuple({run.kind: run for run in RUNS}.values())
"""One run of each kind, to measure."""


@dataclass(frozen=True)
class Part:
    """A part of the figures, with the runs that it needs.

    Attributes:
        what: what it shows, for messages.
        runs: its runs; some belong to several parts.
        n_steps: number of steps of each run, where there is time enough.
        least: number of steps below which it is left out.
    """

    what: str
    runs: tuple[DemoRun, ...]
    n_steps: int
    least: int

    def has_enough(self, n_steps: Mapping[DemoRun, int]) -> bool:
        """Return whether all its runs are there and have at least :attr:`least` steps."""
        return all(n_steps.get(run, 0) >= self.least for run in self.runs)


CONSERVED: Final = Part("the conserved energy", (CLASSICAL, FIRST), 400, 80)
CLASSICAL_SPECTRA: Final = Part("the spectra of classical nuclei", (CLASSICAL,), 2040, 1020)
QUANTUM_SPECTRA: Final = Part("the spectra of TRPMD", (QUANTUM,), 2040, 1020)
CLASSICAL_POLARIZATION: Final = Part(
    "the polarization of classical nuclei", (CLASSICAL, *CLASSICAL_IN_FIELDS), 160, 60
)
QUANTUM_POLARIZATION: Final = Part(
    "the polarization in TRPMD", (QUANTUM, *QUANTUM_IN_FIELDS), 160, 60
)
# those that matter most come first
PARTS: Final = (
    CONSERVED, CLASSICAL_SPECTRA, CLASSICAL_POLARIZATION, QUANTUM_SPECTRA, QUANTUM_POLARIZATION,
)  # fmt: skip


@dataclass(frozen=True)
class Cost:
    """The time that runs of one kind take on this machine.

    Attributes:
        start: everything but the steps: starting i-PI, loading the networks, ending, s.
        step: one step, s.
    """

    start: float
    step: float


@dataclass(frozen=True)
class Plan:
    """Lengths of all runs with which the demo keeps its promise on this machine.

    Attributes:
        n_steps: number of steps of each run, in the order in which they are started.
        parts: parts that are shown.
        left_out: parts whose runs would be too short.
        seconds: time until everything is done, s.
        first: time until the first figure, s.
    """

    n_steps: dict[DemoRun, int]
    parts: tuple[Part, ...]
    left_out: tuple[Part, ...]
    seconds: float
    first: float


def scaled(scale: float) -> dict[DemoRun, int]:
    """Return the number of steps of each run, in the order of starting.

    Args:
        scale: factor that multiplies the whole length of all runs; none has less than 40 steps.
    """
    return lengths({part: max(10 * OUTPUT_STRIDE, scale * part.n_steps) for part in PARTS})


def lengths(n_steps: Mapping[Part, float]) -> dict[DemoRun, int]:
    """Return the number of steps of each run, in the order of starting.

    Args:
        n_steps: number of steps that each part needs.
    """
    needed = {run: [n for part, n in n_steps.items() if run in part.runs] for run in RUNS}
    return {
        run: OUTPUT_STRIDE * round(max(several) / OUTPUT_STRIDE)
        for run, several in needed.items()
        if several
    }


def plan(costs: Mapping[Kind, Cost], spent: float = 0.0, at_once: int = 2) -> Plan:
    """Choose the lengths of all runs so that the demo ends in time.

    A part is left out if the time does not suffice for its least number of steps and that of the
    parts before it. The remaining time lengthens the runs of all others alike. The first part is
    never left out, however long that takes.

    Args:
        costs: time that runs of each kind take, measured with as many at once.
        spent: time that has passed already, s.
        at_once: number of runs that are executed at the same time.
    """
    drawing = max(cost.start for cost in costs.values())

    def until_end(n_steps: Mapping[DemoRun, int]) -> float:
        return max(_ends(n_steps, costs, spent, at_once).values()) + DRAWING * drawing

    def fits(kept: Sequence[Part], fraction: float) -> bool:
        return until_end(_between(kept, fraction)) <= USED * LIMIT

    kept = [PARTS[0]]
    for part in PARTS[1:]:
        kept += [part] if fits([*kept, part], 0.0) else []
    percent = next((n for n in range(100, 0, -1) if fits(kept, n / 100)), 0)
    n_steps = _between(kept, percent / 100)
    cost = costs[FIRST.kind]
    begun = spent + cost.start + FIRST_DRAWING * drawing
    in_time = OUTPUT_STRIDE * int((USED * FIRST_LIMIT - begun) / cost.step / OUTPUT_STRIDE)
    least = max(part.least for part in kept if FIRST in part.runs)
    n_steps[FIRST] = min(n_steps[FIRST], max(in_time, least))
    return Plan(
        n_steps,
        tuple(kept),
        tuple(part for part in PARTS if part not in kept),
        until_end(n_steps),
        begun + n_steps[FIRST] * cost.step,
    )


def _between(parts: Sequence[Part], fraction: float) -> dict[DemoRun, int]:
    """Return lengths between the least of these parts (0) and their whole lengths (1)."""
    return lengths({part: part.least + fraction * (part.n_steps - part.least) for part in parts})


def _ends(
    n_steps: Mapping[DemoRun, int], costs: Mapping[Kind, Cost], begin: float, at_once: int
) -> dict[DemoRun, float]:
    """Return when each run ends, s, if each starts, in this order, as soon as a core is free."""
    cores = [begin] * at_once
    ends = {}
    for run, n in n_steps.items():
        cost = costs[run.kind]
        ends[run] = heapq.heappop(cores) + cost.start + n * cost.step
        heapq.heappush(cores, ends[run])
    return ends
