"""Inputs that i-PI does not run, or not as they are meant, and the same with advice taken."""

from __future__ import annotations

from dataclasses import replace

from public_inputs import (
    ENSEMBLE,
    INIT,
    IPI_XYZ,
    LJ,
    PHOTON,
    PILE,
    SPHERES,
    SPLIT,
    TURNED,
    TWO,
    WATER,
    Input,
    client,
    driven,
    dynamics,
    extras,
    ffsocket,
    force,
    trajectory,
)
from public_inputs_that_run import GOOD

PLAIN = GOOD["ffsocket"]
RING = replace(PLAIN, beads=4, motion=dynamics("nvt", PILE))
MACE = '[potential]\nkind = "mace"\nmodels = ["a.model"]\n'
FIELD = "[field]\nvector = [0, 0, 0.1]\nunit = 'V/angstrom'\n"
IN_A_FIELD = {"client.toml": client() + FIELD}
DIPOLE = {"client.toml": client(extras='"dipole"')}
BORN = "<bec mode='driver'/> <asr_threshold> 1e-6 </asr_threshold>"


def of_client(text: str) -> Input:
    return replace(PLAIN, clients={"client.toml": text})


def of_output(output: str, **others: object) -> Input:
    return replace(PLAIN, outputs=output, **others)  # type: ignore[arg-type]


BAD: dict[str, tuple[Input, str]] = {
    "a unit of a trajectory": (of_output(trajectory("positions{angstroms}")), "angstroms"),
    "a unit of another quantity": (of_output(trajectory("velocities{angstrom}")), "for kind velo"),
    "a unit of a property": (
        replace(PLAIN, names="step, potential{electronvolts}"),
        "'potential{electronvolts}'",
    ),
    "a unit of the cell": (
        of_output(trajectory("positions{angstrom}", cell_units="angstroms")),
        "angstroms is an undefined unit",
    ),
    "a unit in extxyz": (
        of_output(trajectory("positions{angstrom}", format="ase")),
        'Only "ase"',
    ),
    "velocities in pdb": (of_output(trajectory("velocities", format="pdb")), "PDB Standard"),
    "two outputs of one name": (
        of_output(trajectory("positions") + trajectory("velocities")),
        "2 outputs have filename='x'",
    ),
    "a bead that is not there": (
        replace(RING, outputs=trajectory("positions", bead="4")),
        "there is no bead 4",
    ),
    "a force that is not there": (
        replace(PLAIN, names="step, pot_component(1)"),
        "there is no force 1",
    ),
    "a component without its number": (
        of_output(trajectory("forces_component_raw")),
        "missing a required argument: 'index'",
    ),
    "a property that is not there": (replace(PLAIN, names="step, potenial"), "'potenial'"),
    "a trajectory that is not there": (of_output(trajectory("position")), "'position'"),
    "too few clients that keep their bead": (
        replace(RING, ff=ffsocket(more="matching='lock'"), n_clients=3),
        "4, but 3 are started",
    ),
    "a field without a dipole": (of_client(client(potential=MACE) + FIELD), "[field] needs dipole"),
    "a dipole that no model gives": (
        of_client(client(potential=MACE, extras='"dipole"')),
        "[observables] needs dipole",
    ),
    "an address that is too long": (
        replace(
            PLAIN, ff=ffsocket(address="a" * 99), clients={"client.toml": client("a" * 99)}
        ),
        "has 99 characters",
    ),
    "a setting of the file below a table": (
        of_client(client().replace("[socket]", '[socket]\nvirial = "none"')),
        "move it above the first [table]",
    ),
    "a force without a forcefield": (replace(PLAIN, forces=force("mlops")), "'mlops'"),
    "no force": (replace(PLAIN, forces=""), "nothing moves the atoms"),
    "two forcefields of one name": (
        replace(PLAIN, ff=ffsocket() + ffsocket(address="two"), clients=TWO),
        "two forcefields are called 'mlobs'",
    ),
    "two sockets at one address": (
        replace(PLAIN, ff=ffsocket() + ffsocket("two"), forces=force() + force("two")),
        "are both at tiny",
    ),
    "a dipole of driven_dynamics without it": (
        replace(PLAIN, names="step, dipole"),
        "exists only with driven_dynamics",
    ),
    "no Born charges for driven_dynamics": (
        replace(PLAIN, motion=driven(BORN)),
        'add "born_charges"',
    ),
    "a field on both sides": (
        replace(PLAIN, motion=driven(""), clients=IN_A_FIELD),
        "coupled twice",
    ),
    "wrapped positions in a field": (
        replace(PLAIN, ff=ffsocket().replace("false", "true"), clients=IN_A_FIELD),
        "write pbc='False'",
    ),
    "a run at its end": (
        replace(PLAIN, within="<step> 4 </step>"),
        "raise <total_steps>",
    ),
    "a structure that is not there": (
        replace(PLAIN, init=INIT.replace("w.xyz", "gone.xyz")),
        "gone.xyz",
    ),
    "a unit of time that is none": (
        replace(PLAIN, motion=dynamics().replace("femtosecond", "femtosecnd")),
        "secnd is an undefined unit",
    ),
    "a tag that is none": (replace(PLAIN, within="<total_stebs> 4 </total_stebs>"), "total_stebs"),
    "a temperature that is none": (
        replace(PLAIN, ensemble=ENSEMBLE.replace("300", "nan")),
        "<temperature> is nan",
    ),
    "a client at another address": (of_client(client("tyni")), "'tyni'"),
    "constant pressure without a virial": (
        replace(
            GOOD["npt"],
            clients={n: f'virial = "none"\n{t}' for n, t in GOOD["npt"].clients.items()},
        ),
        "needs a virial",
    ),
    "constant pressure of a molecule": (
        replace(GOOD["npt"], clients={"client.toml": client(potential=SPHERES)}),
        "is not periodic",
    ),
    "extras that nobody sends": (of_output(extras("dipole")), "no client sends it"),
    "extras of weight 0": (
        of_output(extras("dipole"), clients=DIPOLE, forces=force(more="weight='0'") + force("lj"),
                  ff=ffsocket() + LJ),
        "i-PI drops",
    ),
    "extras of contracted beads": (
        replace(
            RING, outputs=extras("dipole"), clients=DIPOLE, forces=force(more="nbeads='2'")
        ),
        "i-PI drops",
    ),
    "extras of two": (
        of_output(
            extras("dipole"), ff=SPLIT, forces=force() + force("two"),
            clients={**DIPOLE, "two.toml": client("two", '"dipole"')},
        ),
        "keeps only those of the last",
    ),
    "extras of the other force": (
        of_output(
            extras("dipole", "extras_component_raw(1)"), ff=SPLIT,
            forces=force() + force("two"), clients={**TWO, **DIPOLE},
        ),
        "no client sends it",
    ),
    "a baseline of a committee without one": (
        replace(GOOD["ffcommittee"], outputs=extras("wb_mixing")),
        "only for an <ffcommittee> with <baseline_name>",
    ),
    "a member's observable by its own name": (
        replace(
            GOOD["ffcommittee: an observable of its members"], outputs=extras("dipole")
        ),
        "extra_type='committee_dipole'",
    ),
    "potentials of rotations without them": (
        of_output(extras("o3grid_pots")),
        "which neither i-PI nor a client of mlobs can give",
    ),
    "an output between two evaluations": (
        of_output(
            extras("dipole"),
            clients={"client.toml": client(extras='"dipole"') + "stride = { dipole = 4 }\n"},
        ),
        "KeyError",
    ),
    "more atoms than the client": (replace(PLAIN, files={"w.xyz": PHOTON}), "has 4 atoms"),
    "another order of atoms": (
        replace(PLAIN, files={"w.xyz": IPI_XYZ.replace(WATER, TURNED)}),
        "atom 1 is 'H'",
    ),
    "no photons for a cavity": (replace(GOOD["ffcavphsocket"], files={}), "2 atoms 'L'"),
    "a format of numbers that is none": (
        replace(PLAIN, floatformat="%d %d"),
        "floatformat='%d %d'",
    ),
}  # fmt: skip
"""Inputs that do not run, or not as meant, with a part of what the check says."""

FOLLOWED: dict[str, Input] = {
    "a unit of a trajectory": of_output(trajectory("positions{angstrom}")),
    "a unit of a property": replace(PLAIN, names="step, potential{electronvolt}"),
    "a unit of the cell": of_output(trajectory("positions{angstrom}", cell_units="angstrom")),
    "a unit in extxyz": of_output(trajectory("positions{ase}", format="ase")),
    "velocities in pdb": of_output(trajectory("velocities", format="xyz")),
    "two outputs of one name": of_output(trajectory("positions") + trajectory("velocities", "v")),
    "a bead that is not there": replace(RING, outputs=trajectory("positions", bead="3")),
    "a force that is not there": replace(PLAIN, names="step, pot_component(0)"),
    "a component without its number": of_output(trajectory("forces_component_raw(0)")),
    "too few clients that keep their bead": replace(
        BAD["too few clients that keep their bead"][0], n_clients=4
    ),
    "an address that is too long": replace(
        PLAIN, ff=ffsocket(address="a" * 79), clients={"client.toml": client("a" * 79)}
    ),
    "a setting of the file below a table": of_client(f'virial = "none"\n{client()}'),
    "no Born charges for driven_dynamics": replace(
        PLAIN, motion=driven(BORN), clients={"client.toml": client(extras='"born_charges"')}
    ),
    "extras that nobody sends": of_output(extras("dipole"), clients=DIPOLE),
    "extras of weight 0": replace(
        BAD["extras of weight 0"][0], outputs=extras("dipole", "extras_component_raw(0)")
    ),
    "extras of contracted beads": replace(
        BAD["extras of contracted beads"][0],
        forces=force(
            more="nbeads='2'", tags="<interpolate_extras> [ dipole ] </interpolate_extras>"
        ),
    ),
    "extras of two": replace(
        BAD["extras of two"][0],
        outputs=trajectory("extras_component_raw(0)", "d0", extra_type="dipole")
        + trajectory("extras_component_raw(1)", "d1", extra_type="dipole"),
    ),
    "a baseline of a committee without one": GOOD["ffcommittee: weighted baseline, contracted"],
    "a member's observable by its own name": replace(
        BAD["a member's observable by its own name"][0], outputs=extras("committee_dipole")
    ),
    "no photons for a cavity": GOOD["ffcavphsocket"],
}  # fmt: skip
"""Some of :data:`BAD`, with the advice of the check taken."""
