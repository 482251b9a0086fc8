"""Inputs of many kinds that i-PI runs."""

from __future__ import annotations

from public_inputs import (
    AT_TEMP,
    CONTRACTED,
    ENSEMBLE,
    H0,
    IMAGES,
    INET,
    LANGEVIN,
    LJ,
    NO_VELOCITIES,
    NPT,
    PHOTON,
    PHOTONS,
    PILE,
    PRESSURE,
    REMD,
    REPLAYED,
    RESCALING,
    SPLIT,
    STATE,
    STRESS,
    SVR,
    TWO,
    Input,
    barostat,
    cavity,
    client,
    committee,
    driven,
    dynamics,
    extras,
    ffdirect,
    ffsocket,
    force,
    minimize,
    neb,
    replicas,
    rotations,
    trajectory,
    vibrations,
)

GOOD: dict[str, Input] = {
    "ffsocket": Input(outputs=trajectory("positions{angstrom}", cell_units="angstrom")),
    "ffsocket: inet, a client that sends its dipole": Input(
        ff="<ffsocket name='mlobs' mode='inet' pbc='false'> <address> localhost </address> "
        "<port> 31417 </port> <timeout> 600 </timeout> </ffsocket>",
        outputs=extras("dipole"),
        clients={"client.toml": client(INET, '"dipole"')},
    ),
    "ffsocket: one client for each bead": Input(
        ff=ffsocket(more="matching='lock'"), beads=4, n_clients=4
    ),
    "ffdirect": Input(ff=ffdirect(), beads=2, motion=dynamics("nvt", PILE)),
    "ffdirect: a potential of i-PI beside ours": Input(
        ff=ffsocket() + "<ffdirect name='direct'> <pes> dummy </pes> </ffdirect>",
        forces=force() + force("direct"),
    ),
    "ffcommittee": Input(
        ff=committee("", ffsocket("one"), ffsocket("two", "two")),
        forces=force("committee"),
        outputs=extras("committee_pot") + extras("committee_uncertainty")
        + extras("committee_force") + extras("committee_virial"),
        clients=TWO,
    ),
    "ffcommittee: weighted baseline, contracted": Input(
        ff=committee(
            "<baseline_name> base </baseline_name> <alpha> 1.5 </alpha> <baseline_uncertainty "
            "units='electronvolt'> 0.1 </baseline_uncertainty> <active_thresh> 0.05 "
            "</active_thresh>",
            ffsocket("base"), ffsocket("one", "one"), ffsocket("two", "two"),
        ),
        forces=force(
            "committee", "nbeads='1'", f"<interpolate_extras> {CONTRACTED} </interpolate_extras>"
        ),
        outputs=extras("committee_pot") + extras("baseline_pot") + extras("wb_mixing"),
        beads=4,
        motion=dynamics("nvt", PILE),
        clients={**TWO, "one.toml": client("one")},
    ),
    "ffcommittee: an observable of its members": Input(
        ff=committee("", ffsocket("one"), ffsocket("two", "two")),
        forces=force("committee"),
        outputs=extras("committee_dipole"),
        clients={n: t.replace("extras = []", 'extras = ["dipole"]') for n, t in TWO.items()},
    ),
    "ffrotations: a grid": Input(
        ff=rotations(
            ffsocket("inner"),
            "<grid_order> 3 </grid_order> <grid_mode> lebedev </grid_mode> "
            "<inversion> True </inversion>",
        ),
        forces=force("turned"),
        outputs=extras("o3grid_pots"),
    ),
    "ffrotations: at random, beside another": Input(
        ff=rotations(ffsocket("inner"), "<random> True </random>") + ffsocket("two", "two"),
        forces=force("two") + force("turned", "weight='0.5'"),
        outputs=extras("o3grid_pots", "extras_component_raw(1)"),
        clients=TWO,
    ),
    "ffcavphsocket": Input(
        ff=cavity(""), files={"w.xyz": PHOTONS}, motion=dynamics("nvt", LANGEVIN)
    ),
    "ffcavphsocket: one photon for both directions": Input(
        ff=cavity("<ph_rep> dense </ph_rep>"), files={"w.xyz": PHOTON}
    ),
    "nve": Input(outputs=trajectory("velocities") + trajectory("forces{ev/ang}", "f")),
    "nve: momenta in extxyz": Input(
        outputs=trajectory("positions", "p", format="ase") + trajectory("momenta", "m"),
        names="step, kinetic_md{electronvolt}, atom_x{angstrom}(atom=1; bead=0)",
    ),
    "nvt": Input(motion=dynamics("nvt", SVR), names=f"{STATE}, kinetic_md, kinetic_md(H)"),
    "nvt: path integral": Input(
        beads=4,
        motion=dynamics("nvt", PILE),
        names=f"{STATE}, kinetic_cv, kinetic_cv(O), r_gyration{{angstrom}}",
        outputs=trajectory("x_centroid{angstrom}", "xc") + trajectory("positions", bead="3"),
    ),
    "npt": Input(
        motion=dynamics("npt", barostat("isotropic")),
        ensemble=PRESSURE,
        names=f"{STATE}, pressure_md{{megapascal}}, volume{{angstrom3}}, density{{g/cm3}}",
        clients=NPT,
    ),
    "npt: a flexible cell": Input(
        motion=dynamics("npt", barostat("flexible")),
        ensemble=PRESSURE,
        names=f"{STATE}, cell_abcABC, virial_md",
        clients=NPT,
    ),
    "npt: stochastic rescaling": Input(
        motion=dynamics("npt", RESCALING),
        ensemble=PRESSURE,
        clients=NPT,
    ),
    "nst": Input(
        motion=dynamics("nst", barostat("anisotropic", H0)),
        ensemble=STRESS,
        names=f"{STATE}, stress_md{{gigapascal}}, cell_h{{angstrom}}",
        clients=NPT,
    ),
    "nst: of a ring polymer": Input(
        beads=2,
        motion=dynamics("nst", barostat("anisotropic", H0)),
        ensemble=STRESS,
        clients=NPT,
    ),
    "remd": Input(
        system=replicas("1, 300", "2, 400"), within=REMD, motion=dynamics("nvt", LANGEVIN),
        names=f"{STATE}, ensemble_temperature{{kelvin}}", **AT_TEMP,
    ),
    "remd: path integral in npt": Input(
        system=replicas("a, 300", "b, 350", "c, 400"), within=REMD, beads=2, clients=NPT,
        motion=dynamics("npt", PILE.join(barostat("isotropic").rsplit(LANGEVIN, 1))),
        init=AT_TEMP["init"], ensemble=f"{AT_TEMP['ensemble']} <pressure> 0 </pressure>",
    ),
    "trpmd": Input(
        beads=4,
        motion=dynamics("nvt", PILE.replace("</tau>", "</tau> <pile_lambda> 0.5 </pile_lambda>")),
        outputs=trajectory("v_centroid", "vc") + trajectory("x_centroid{angstrom}", "xc"),
    ),
    "trpmd: with a dipole for its spectrum": Input(
        beads=4,
        motion=dynamics(
            "nvt",
            "<thermostat mode='pile_l'> <tau units='femtosecond'> 1000 </tau> "
            "<pile_lambda> 0.5 </pile_lambda> </thermostat>",
        ),
        outputs=extras("dipole"),
        clients={"client.toml": client(extras='"dipole"')},
    ),
    "contraction": Input(
        beads=4, ff=SPLIT, clients=TWO, motion=dynamics("nvt", PILE),
        forces=force() + force("two", "nbeads='2'"),
    ),
    "contraction: to the centroid, with extras": Input(
        beads=4,
        forces=force(
            more="nbeads='1'", tags="<interpolate_extras> [ dipole ] </interpolate_extras>"
        ),
        outputs=extras("dipole"),
        clients={"client.toml": client(extras='"dipole"')},
    ),
    "mts": Input(
        ff=SPLIT, clients=TWO, beads=2,
        forces=force(tags="<mts_weights> [0, 1] </mts_weights>")
        + force("two", tags="<mts_weights> [1, 0] </mts_weights>"),
        motion=dynamics("nvt", f"<nmts> [1, 4] </nmts> {PILE}", "1.0"),
        names=f"{STATE}, pot_component_raw(0), pot_component_raw(1)",
        outputs=trajectory("forces_component_raw(0)", "f0"),
    ),
    "mts: a cheap inner force that is taken off again": Input(
        ff=ffsocket() + LJ,
        forces=force(tags="<mts_weights> [1, 0] </mts_weights>")
        + force("lj", tags="<mts_weights> [-1, 1] </mts_weights>"),
        motion=dynamics(tags="<nmts> [1, 2] </nmts>", dt="0.5"),
    ),
    "geometry optimisation": Input(
        motion=minimize("bfgs"), init=NO_VELOCITIES, ensemble="",
        names="step, potential{electronvolt}",
        outputs=trajectory("positions{angstrom}") + trajectory("forces", "f"), steps=60,
    ),
    "geometry optimisation: steepest descent": Input(
        motion=minimize("sd", "<ls_options> <tolerance> 1e-4 </tolerance> </ls_options>"),
        init=NO_VELOCITIES, ensemble="", names="step, potential",
    ),
    "neb": Input(
        beads=4, motion=neb("fire"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, bead_potentials", outputs=trajectory("positions{angstrom}"),
        files={"w.xyz": IMAGES},
    ),
    "neb: damped bfgs": Input(
        beads=4, motion=neb("damped_bfgs"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, bead_potentials{electronvolt}", files={"w.xyz": IMAGES},
    ),
    "phonons": Input(
        motion=vibrations("fd"), init=NO_VELOCITIES, ensemble="", head="mode='static'",
        names="step, potential", steps=9,
    ),
    "phonons: of a crystal": Input(
        motion=vibrations("fd").replace("poly", "crystal"), init=NO_VELOCITIES, ensemble="",
        head="mode='static'", names="step, potential", steps=9,
    ),
    "te-pigs": Input(
        beads=4, motion=dynamics("nvt", PILE),
        forces=force(more="weight='1'") + force(more="weight='0' nbeads='1'"),
        outputs=trajectory("x_centroid{ase}", "xc", cell_units="ase")
        + trajectory("f_centroid", "fc", format="ase")
        + trajectory("forces_component_raw(1)", "physical", format="ase"),
    ),
    "te-pigs: of another forcefield": Input(
        beads=4, motion=dynamics("nvt", PILE), ff=SPLIT, clients=TWO,
        forces=force() + force("two", "weight='0' nbeads='1'"),
        names=f"{STATE}, pot_component_raw(1)",
        outputs=trajectory("forces_component_raw(1)", "physical"),
    ),
    "integration at lambda 0": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", LANGEVIN),
        forces=force(more="weight='1.0'") + force("two", "weight='0.0'"),
        names=f"{STATE}, pot_component_raw(0), pot_component_raw(1)",
    ),
    "integration at lambda 1": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", LANGEVIN),
        forces=force(more="weight='0'") + force("two", "weight='1'"),
        names=f"{STATE}, pot_component_raw{{electronvolt}}(0), pot_component_raw(index=1)",
    ),
    "integration at lambda 0: of a path integral": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", PILE), beads=4,
        forces=force(more="weight='1'") + force("two", "weight='0' nbeads='2'"),
        names=f"{STATE}, pot_component_raw(1), kinetic_cv",
    ),
    "integration: all values of lambda in one input": Input(
        ff=SPLIT, clients=TWO, motion=dynamics("nvt", LANGEVIN),
        system=replicas("0, 0.0", "1, 1.0").replace("TEMP", "LAMBDA"),
        forces=force(more="weight='0.5'") + force("two", "weight='LAMBDA'"),
        names=f"{STATE}, pot_component_raw(0), pot_component_raw(1)",
    ),
    "a bias on the centroid": Input(
        beads=4, ff=SPLIT, clients=TWO, motion=dynamics("nvt", PILE),
        ensemble=f"{ENSEMBLE} <bias> <force forcefield='two' nbeads='1'/> </bias>",
        names=f"{STATE}, ensemble_bias",
    ),
    "driven_dynamics": Input(
        motion=driven("<bec mode='driver'/> <asr_threshold> 1e-6 </asr_threshold>"),
        names="step, conserved, Efield, Eenvelope, dipole",
        outputs=trajectory("becx", "bx") + trajectory("Eforces", "ef"),
        clients={"client.toml": client(extras='"dipole", "born_charges"')},
    ),
    "driven_dynamics: with a thermostat": Input(
        motion=driven(
            f"<bec mode='driver'/> {LANGEVIN} <asr_threshold> 1e-6 </asr_threshold>", "eda-nvt"
        ),
        clients={"client.toml": client(extras='"born_charges"')},
    ),
    "Born charges of driven_dynamics without it": Input(
        outputs=trajectory("becx"), warnings=("writes only NaN",)
    ),
    "replay": Input(
        motion="<motion mode='replay'> <file mode='xyz'> w.xyz </file> </motion>",
        files={"w.xyz": REPLAYED}, steps=2, names="step, potential", ensemble="",
        init=NO_VELOCITIES,
    ),
    "an input that is started from the folder above": Input(
        folder="data", warnings=("relative to the folder in which i-PI is started",)
    ),
}  # fmt: skip
