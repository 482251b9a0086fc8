"""Check that i-PI can write its outputs, which it tests only when it first writes them.

This runs in the process that has read the input, and needs no forces.

Source:
    i-PI 3.3.1, ``ipi/engine/outputs.py``, and the tables of ``ipi/engine/properties.py``.
"""

from __future__ import annotations

import inspect
import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from mlobs_client.tables import suggest


class Fault(NamedTuple):
    """A mistake, its remedy, and whether i-PI stops at it."""

    what: str
    remedy: str
    stops: bool = True


PER_BEAD_FILES: Final = frozenset(
    {"positions", "velocities", "forces", "forces_spring", "Eforces", "extras", "extras_bias",
     "forces_sc", "momenta", "becx", "becy", "becz"}
)  # fmt: skip
"""Trajectories with one file per bead."""
PER_BEAD: Final = "bead"
PER_COMPONENT: Final = frozenset({"index", "idx"})
PER_ATOM: Final = "atom"
"""Name of an argument that is a label or a number."""
PER_LABEL: Final = "latom"
ONE_ATOM: Final = "atom_"
"""Prefix of the names of properties of one atom, which is given by its number."""


def find_faults(simulation: Any) -> Iterator[Fault]:
    """Find errors in ``<output>`` that i-PI would report only after the run has started.

    Args:
        simulation: an ``ipi.engine.simulation.Simulation``.
    """
    from ipi.engine.outputs import PropertyOutput, TrajectoryOutput

    yield from _same_names([output.filename for output in simulation.outtemplate])
    yield from _same_files(simulation)
    for system in simulation.syslist[:1]:  # the others are alike
        for output in simulation.outtemplate:
            if isinstance(output, PropertyOutput):
                for what in output.outlist:
                    yield from _of_property(str(what), output.filename, system)
            elif isinstance(output, TrajectoryOutput):
                yield from _of_trajectory(output, system)


def _same_names(names: list[str]) -> Iterator[Fault]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Fault(
            f"{names.count(name)} outputs have filename='{name}', which i-PI refuses",
            "give each of <properties>, <trajectory> and <checkpoint> its own filename=",
        )


def _same_files(simulation: Any) -> Iterator[Fault]:
    """Find outputs with the same file: i-PI renames the first file, and writes to both."""
    prefixes = [system.prefix for system in simulation.syslist]
    for prefix in sorted({one for one in prefixes if prefixes.count(one) > 1}):
        yield Fault(
            f"{prefixes.count(prefix)} systems have prefix={prefix!r}: their outputs have the same "
            "names, and i-PI renames those of all but the last to #NAME#0#",
            "give each <system> its own prefix=",
            stops=False,
        )
    n_beads = simulation.syslist[0].beads.nbeads
    names = [name for output in simulation.outtemplate for name in _files(output, n_beads)]
    for name in sorted({one for one in names if names.count(one) > 1}):
        yield Fault(
            f"two outputs write the file {name}: i-PI renames that of the first to #{name}#0#",
            "give one of them another filename=",
            stops=False,
        )


def _files(output: Any, n_beads: int) -> list[str]:
    """Return the file names of an output, without prefixes."""
    from ipi.engine.outputs import TrajectoryOutput
    from ipi.engine.properties import getkey

    if not isinstance(output, TrajectoryOutput):
        return [output.filename]
    key = getkey(output.what)
    is_extra = key.startswith("extras")
    ending = "" if is_extra else ".extxyz" if output.format == "ase" else f".{output.format}"
    if key not in PER_BEAD_FILES:
        return [f"{output.filename}{ending}"]
    digits = len(str(n_beads))
    return [f"{output.filename}_{bead:0{digits}d}{ending}" for bead in range(n_beads)]


def _of_property(what: str, filename: str, system: Any) -> Iterator[Fault]:
    from ipi.engine.properties import getall
    from ipi.utils.units import unit_to_user

    where = f"{what!r} in <properties filename='{filename}'>"
    key, unit, arguments, named = getall(what)
    row = system.properties.property_dict.get(key)
    if row is None:
        yield _unknown(where, "property", key, system.properties.property_dict)
        return
    if key.startswith(ONE_ATOM):
        atom = named.get("atom", (*arguments, "")[0])
        yield from _of_number(where, "atom", atom, system.beads.natoms)
        arguments = ("0", *arguments[1:])
        named = {name: value for name, value in named.items() if name != "atom"}
    yield from _of_arguments(where, row["func"], arguments, named, system)
    dimension = row.get("dimension", "undefined")
    if unit and dimension in ("", "number"):
        yield Fault(
            f"{where}: {key} has no unit, and i-PI ignores the given one", "remove it", stops=False
        )
    elif unit:
        yield from _of_unit(where, dimension, unit, lambda: unit_to_user(dimension, unit, 1.0))


def _of_trajectory(output: Any, system: Any) -> Iterator[Fault]:
    from ipi.engine.atoms import Atoms
    from ipi.engine.properties import getall
    from ipi.utils.io import print_file

    where = f"{output.what!r} in <trajectory filename='{output.filename}'>"
    key, unit, arguments, named = getall(output.what)
    row = system.trajs.traj_dict.get(key)
    if row is None:
        yield _unknown(where, "trajectory", key, system.trajs.traj_dict)
        return
    yield from _of_arguments(where, row["func"], arguments, named, system)
    yield from _of_number(where, "bead", output.ibead, system.beads.nbeads)
    if key.startswith("extras") or output.format == "bin":
        return
    labels = sorted(set(system.beads.names))
    atoms = Atoms(len(labels))
    atoms.names[:] = labels

    def write() -> None:
        print_file(
            output.format,
            atoms,
            system.cell,
            io.StringIO(),
            key=key,
            dimension=row.get("dimension", ""),
            units=unit or "automatic",
            cell_units=output.cell_units or "automatic",
        )

    yield from _of_unit(where, row.get("dimension", ""), unit or output.cell_units, write)


def _unknown(where: str, what: str, name: str, known: Iterable[str]) -> Fault:
    return Fault(f"{where}: i-PI has no {what} {name!r}", suggest(name, known))


def _of_unit(where: str, dimension: str, unit: str, write: Callable[[], object]) -> Iterator[Fault]:
    from ipi.utils.units import UnitMap

    try:
        write()
    except Exception as error:  # i-PI raises anything
        known = ", ".join(name for name in UnitMap.get(dimension, {}) if name) or "no unit"
        text = " ".join(str(error).split())
        yield Fault(
            f"{where} cannot be written: {text}",
            f"correct its unit (here: {known}, with prefixes such as pico) or format",
        )


def _of_arguments(
    where: str, function: Callable[..., object], arguments: Any, named: Any, system: Any
) -> Iterator[Fault]:
    signature = inspect.signature(function)
    try:
        bound = signature.bind(*arguments, **named).arguments
    except TypeError as error:
        names = ", ".join(signature.parameters) or "none"
        yield Fault(f"{where}: {error}", f"write its arguments in parentheses: {names}")
        return
    for name, value in bound.items():
        if name in PER_COMPONENT:
            yield from _of_number(where, "force", value, len(system.forces.mforces))
        elif name == PER_BEAD:
            yield from _of_number(where, "bead", value, system.beads.nbeads)
        elif name in (PER_ATOM, PER_LABEL):
            yield from _of_atoms(where, name, str(value), list(map(str, system.beads.names)))


def _of_atoms(where: str, kind: str, value: str, labels: list[str]) -> Iterator[Fault]:
    """Check an argument that selects atoms by a label or a number; an empty one selects all."""
    if kind == PER_ATOM and value.lstrip("+-").isdecimal():
        yield from _of_number(where, "atom", value, len(labels))
    elif value and value not in labels:
        yield Fault(
            f"{where}: there is no atom labelled {value!r}, and i-PI stops or writes 0 or NaN",
            f"write one of the labels {', '.join(sorted(set(labels)))}",
            stops=False,
        )


def _of_number(where: str, what: str, value: Any, n_there: int) -> Iterator[Fault]:
    try:
        number = int(value)
    except (TypeError, ValueError):
        yield Fault(
            f"{where}: {what} {value!r} is not a number", f"write a number from 0 to {n_there - 1}"
        )
        return
    if number >= n_there:
        yield Fault(
            f"{where}: there is no {what} {number}: there are {n_there}, counted from 0",
            f"write a number from 0 to {n_there - 1}",
        )
