"""Check that the extras that an input of i-PI asks for are available.

Source:
    i-PI 3.3.1, ``extra_combine`` and ``extras_component`` in ``ipi/engine/forces.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mlobs_client.check.finding import Finding, error, ok, warning
from mlobs_client.ipi.asked_outputs import TrajectoryOutput
from mlobs_client.ipi.forcefields import BASELINE, Forcefield, find_parent
from mlobs_client.ipi.input import Force, IpiInput
from mlobs_client.quantities import IN_IPI, QUANTITIES

Keys = frozenset[str]


def check_extras(
    ipi: IpiInput, sent: Mapping[str, Keys], n_beads: int, *, is_complete: bool = True
) -> Iterator[Finding]:
    """Find extras that no client sends, that i-PI drops, or that several forcefields send.

    Args:
        ipi: the input.
        sent: keys that clients send, by the name of the forcefield that they serve.
        n_beads: number of beads of the ring polymer; 0 if unknown.
        is_complete: False to skip forcefields whose client is unknown.
    """
    run = _Run(ipi, sent, n_beads, is_complete)
    for trajectory in ipi.trajectories:
        for key in trajectory.extras:
            yield from _judge(run, trajectory, key)


@dataclass(frozen=True)
class _Run:
    """Arguments of :func:`check_extras`."""

    ipi: IpiInput
    sent: Mapping[str, Keys]
    n_beads: int
    is_complete: bool

    def asked(self, trajectory: TrajectoryOutput) -> list[Force]:
        """Return the forces whose extras an output writes."""
        acting = [force for force in self.ipi.forces if not force.biases]
        if trajectory.what == "extras_bias":
            return [force for force in self.ipi.forces if force.biases]
        if trajectory.component is None:
            return acting
        return acting[trajectory.component : trajectory.component + 1]

    def keys(self, force: Force) -> Keys | None:
        """Return the keys of the extras of a forcefield; None if unknown."""
        named = (ff for ff in self.ipi.forcefields if ff.name == force.forcefield)
        ff = next(named, None)
        return frozenset() if ff is None else ff.extras(self.sent)

    def drops(self, force: Force, key: str) -> bool:
        """Return whether i-PI drops a key: it does for weight 0 and for contracted forces."""
        contracted = force.n_beads not in (0, self.n_beads)
        return force.weight == 0.0 or (contracted and key not in force.interpolated)


def _judge(run: _Run, trajectory: TrajectoryOutput, key: str) -> Iterator[Finding]:
    is_combined = trajectory.component is None
    given = [force for force in run.asked(trajectory) if key in (run.keys(force) or ())]
    kept = [force for force in given if not (is_combined and run.drops(force, key))]
    what = f"<trajectory filename='{trajectory.filename}'> asks for the extras {key!r}"
    if len(kept) > 1 and not any(key in force.interpolated for force in kept):
        yield error(
            f"{what}, which the forcefields {', '.join(f.forcefield for f in kept)} all send: "
            "i-PI keeps only those of the last",
            "remove it from [observables] extras of all but one client file, or write "
            "extras_component_raw(0), extras_component_raw(1) ... instead of extras",
        )
    elif kept:
        yield ok(f"extras {key!r} for <trajectory filename='{trajectory.filename}'>")
    elif given:
        yield error(
            f"{what}, which i-PI drops from forces with weight='0' and from those contracted by "
            "nbeads=",
            f"give the force a weight, add <interpolate_extras> [ {key} ] </interpolate_extras>, "
            "or write extras_component_raw(INDEX), with the index of the force, counted from 0, "
            "instead of extras",
        )
    elif any(run.keys(force) is None for force in run.asked(trajectory)):
        if run.is_complete:
            yield warning(
                f"{what}, which none of the given client files sends",
                "make sure that the client of the other forcefield sends them",
            )
    else:
        yield _missing(run, what, key)


def _missing(run: _Run, what: str, key: str) -> Finding:
    names = {row.wire_name: name for name, row in QUANTITIES.items() if name not in IN_IPI}
    for name, keys in run.sent.items():
        parent = find_parent(name, run.ipi.forcefields)
        if parent is not None and key in keys:
            return _within(parent, what, key)
    if key in BASELINE:
        return error(
            f"{what}, which i-PI writes only for an <ffcommittee> with <baseline_name>",
            f"remove it, or write <baseline_name> into the <ffcommittee> of {run.ipi.path.name}",
        )
    if key in names:
        return error(
            f"{what}, but no client sends it",
            f'add "{names[key]}" to [observables] extras of the client file',
        )
    hint = (
        f"; {key!r} of mlobs is called {QUANTITIES[key].wire_name!r} there"
        if key in QUANTITIES
        else ""
    )
    made = sorted({key for ff in run.ipi.forcefields for key in ff.made})
    return error(
        f"{what}, which neither i-PI nor a client of mlobs can give{hint}",
        f"write one of {', '.join([*sorted(set(names)), *made])}",
    )


def _within(parent: Forcefield, what: str, key: str) -> Finding:
    """Return the error for a key that a committee renames."""
    return error(
        f"{what}, which <{parent.kind} name='{parent.name}'> passes on only under another "
        "name, and only those of its last member",
        f"write extra_type='committee_{key}' (the last member must send {key!r})",
    )
