"""Obtain from i-PI itself the numbers in its initial state that depend on units.

Source:
    i-PI 3.3.1, ``engine/motion/{dynamics,multi,motion}.py``, ``engine/ensembles.py``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np

from mlobs_client.structure import Array

PHOTON: Final = "L"  # the label of i-PI


@dataclass(frozen=True)
class InitialState:
    """The initial state of i-PI, in atomic units.

    Attributes:
        masses: masses of the atoms, without the photons of a cavity, shape ``(n_atoms,)``, in
            electron masses.
        temperatures: temperatures of the ensembles of all systems that set one, kT, Eh.
        velocity_temperature: kinetic temperature of the velocities of the first system, kT, Eh.
        timestep: innermost time step, atomic units; None without dynamics.
        fixed: indices ``3 I + i`` of fixed coordinates, sorted.
    """

    masses: Array
    temperatures: tuple[float, ...] = ()
    velocity_temperature: float = 0.0
    timestep: float | None = None
    fixed: tuple[int, ...] = ()

    @classmethod
    def from_json(cls, answer: Mapping[str, Any]) -> Self:
        """Read the result of :func:`describe_state`."""
        return cls(
            masses=np.array(answer["masses"], dtype=np.float64),
            temperatures=tuple(answer["temperatures"]),
            velocity_temperature=answer["velocity_temperature"],
            timestep=answer["timestep"],
            fixed=tuple(answer["fixed"]),
        )


def describe_state(simulation: Any) -> dict[str, Any]:
    """Describe a simulation of i-PI for JSON; this runs in the process of i-PI's parser.

    Args:
        simulation: an ``ipi.engine.simulation.Simulation``.
    """
    first = simulation.syslist[0]
    motions = [
        motion
        for system in simulation.syslist
        for motion in getattr(system.motion, "mlist", [system.motion])
    ]
    # i-PI's classes of dynamics, and they alone, have levels of time steps
    steps = [float(m.dt) / math.prod(int(n) for n in m.nmts) for m in motions if hasattr(m, "nmts")]
    temperatures = (float(system.ensemble.temp) for system in simulation.syslist)
    masses = np.array(first.beads.m)
    fixed = sorted(int(k) for k in first.motion.fixatoms_dof)
    moving = np.setdiff1d(np.arange(3 * len(masses)), fixed)
    twice_kinetic = np.array(first.beads.p)[:, moving] ** 2 / np.repeat(masses, 3)[moving]
    # a bead has the momenta of n_beads times the temperature
    velocity_temperature = twice_kinetic.mean() / len(twice_kinetic) if len(moving) else 0.0
    return {
        "masses": masses[np.array(first.beads.names) != PHOTON].tolist(),
        "temperatures": sorted({t for t in temperatures if t >= 0.0}),
        "velocity_temperature": float(velocity_temperature),
        "timestep": min((step for step in steps if step > 0.0), default=None),
        "fixed": fixed,
    }
