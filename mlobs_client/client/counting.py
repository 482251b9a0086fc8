"""Decide whether a client can count the steps of i-PI from the structures that it answers.

It can if i-PI evaluates all structures of a step exactly once and one client answers them.

Source:
    i-PI 3.3.1, ``engine/properties.py`` (estimators that displace atoms), ``engine/simulation.py``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from mlobs_client.ipi.forcefields import Forcefield
from mlobs_client.ipi.input import IpiInput

# One evaluation per step, counted with i-PI itself in tests/integration/test_strides.py.
COUNTABLE: Final = frozenset({"nve", "nvt", "npt", "nst"})
# Properties and trajectories that also evaluate displaced structures; a test compares with i-PI.
DISPLACING: Final = frozenset(
    {
        "displacedpath",
        "scaledcoords",
        "sc_scaledcoords",
        "sc_op_scaledcoords",
        "isotope_scfep",
        "isotope_zetasc",
        "isotope_zetasc_4th",
        "kinetic_tdsc",
        "kstress_tdsc",
        "pressure_tdsc",
        "vir_tdsc",
        "forces_sc",
    }
)
AFTERWARDS: Final = "leave stride out, and evaluate afterwards with 'mlobs observe'"


class Obstacle(NamedTuple):
    """The reason why steps cannot be counted, and its remedy."""

    reason: str
    remedy: str


def find_obstacle(ipi: IpiInput, ff: Forcefield, n_clients: int) -> Obstacle | None:
    """Find what keeps a client from counting the steps of i-PI.

    Args:
        ipi: the input.
        ff: the forcefield that the client serves.
        n_clients: number of clients that serve it.

    Returns:
        The first obstacle; None if steps can be counted.
    """
    return _of_connection(ff, n_clients) or _of_motion(ipi) or _of_forces(ipi, ff)


def _of_connection(ff: Forcefield, n_clients: int) -> Obstacle | None:
    if ff.kind != "ffsocket":
        return Obstacle(
            f"steps are not counted behind <{ff.kind}>",
            "use an <ffsocket> with one client",
        )
    if n_clients != 1:
        return Obstacle(
            f"{n_clients} clients share the structures of a step",
            "use one client (-n 1) with all beads in one batch",
        )
    return None


def _of_motion(ipi: IpiInput) -> Obstacle | None:
    reason = None
    if ipi.n_systems != 1:
        reason = "there is not exactly one <system>"
    elif ipi.motions != ("dynamics",) or ipi.super_motion != "dummy":
        modes = [*ipi.motions, *({ipi.super_motion} - {"dummy"})]
        reason = f"evaluations are not steps in the motion {', '.join(modes)}"
    elif not COUNTABLE.issuperset(ipi.dynamics):
        reason = f"evaluations are not steps in dynamics mode='{ipi.dynamics[0]}'"
    elif ipi.has_multiple_time_steps:
        reason = "multiple time steps (<nmts>, <mts_weights>) add evaluations between the steps"
    names = [name for output in ipi.properties for name in output.names]
    names += [trajectory.what for trajectory in ipi.trajectories]
    displacing = sorted(DISPLACING.intersection(names))
    if reason is None and displacing:
        reason = f"{displacing[0]!r} in <output> makes i-PI evaluate displaced structures too"
    return None if reason is None else Obstacle(reason, AFTERWARDS)


def _of_forces(ipi: IpiInput, ff: Forcefield) -> Obstacle | None:
    forces = [force for force in ipi.forces if force.forcefield == ff.name]
    if len(forces) != 1 or forces[0].biases:
        return Obstacle(
            f"the forcefield {ff.name!r} does not belong to exactly one <force> in <forces>",
            AFTERWARDS,
        )
    if forces[0].weight == 0.0:
        return Obstacle(
            f"i-PI evaluates <force forcefield={ff.name!r} weight='0'> for outputs only",
            "give it a weight, for example 1e-12",
        )
    n_beads = forces[0].n_beads or ipi.n_beads
    if ff.batch_size != n_beads:
        return Obstacle(
            f"a request holds {ff.batch_size} of the {n_beads} beads of a step",
            f"write <batch_size> {n_beads} </batch_size> into <ffsocket name='{ff.name}'>",
        )
    return None
