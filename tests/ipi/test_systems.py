"""What the files beside the outputs of a run say of it is what i-PI made of them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.ipi.systems import (
    ensemble_temperature,
    find_systems,
    is_same_temperature,
    kinetic_temperature,
    read_systems,
)

DALTON = 1822.888486  # electron masses, CODATA
KT = 9.50044560e-4  # 300 K in Eh
SYSTEM = """<system{prefix}><initialize nbeads='{beads}'>{initialize}</initialize>
<motion mode='dynamics'><dynamics mode='{mode}'/></motion>
<ensemble><temperature units='kelvin'> {kelvin} </temperature></ensemble></system>"""
CHECKPOINT = """<simulation><output prefix='run'/><system>
<beads natoms='2' nbeads='4'><m shape='(2)'> [ {masses} ] </m>
<names shape='(2)'> [ O, H ] </names></beads>
<motion mode='dynamics'><dynamics mode='{mode}'/></motion>
<ensemble><temperature> 9.50044560e-04 </temperature></ensemble></system></simulation>"""
CHK = "<file mode='chk'> start.chk </file>"
XYZ = "<file mode='xyz'> init.xyz </file>"
MANUAL = "<masses mode='manual' units='dalton'> [ 18, 2 ] </masses>"
ONE = "<masses mode='manual' index='1' units='dalton'> [ 3 ] </masses>"
ATOMIC = "<masses mode='manual'> [ 5, 7 ] </masses>"


def system(
    prefix: str = "", beads: int = 1, initialize: str = XYZ, mode: str = "nvt", kelvin: float = 300
) -> str:
    own = f" prefix='{prefix}'" if prefix else ""
    return SYSTEM.format(prefix=own, beads=beads, initialize=initialize, mode=mode, kelvin=kelvin)


def write(path: Path, inside: str, output: str = "<output prefix='run'/>") -> Path:
    path.write_text(f"<simulation>{output}{inside}</simulation>")
    return path


def test_a_system_of_an_input_is_read_in_atomic_units(tmp_path: Path) -> None:
    path = write(tmp_path / "input.xml", system("r0", 8, mode=" nve ", kelvin=300))
    (found,) = read_systems(path)
    assert (found.path, found.prefix, found.n_beads) == (path, "r0_run", 8)
    assert found.temperature == pytest.approx(KT, rel=1e-6)
    assert (found.dynamics, found.number, found.ensemble) == ({"nve"}, 0, None)
    assert not found.is_checkpoint
    assert not found.is_thermostatted


def test_what_is_not_written_has_the_defaults_of_ipi(tmp_path: Path) -> None:
    path = write(tmp_path / "input.xml", "<system><motion><dynamics/></motion></system>", "")
    (found,) = read_systems(path)
    assert (found.prefix, found.n_beads, found.temperature) == ("i-pi", 1, None)
    assert found.dynamics == {"nve"}


@pytest.mark.parametrize(
    ("initialize", "masses"),
    [
        (XYZ, None),  # left to i-PI's table
        (XYZ + MANUAL, [18.0, 2.0]),
        (XYZ + MANUAL + ONE, [18.0, 3.0]),  # the later one overwrites
        (XYZ + ONE + MANUAL, [18.0, 2.0]),
        (XYZ + ONE, [15.9994, 3.0]),  # the other one is of i-PI's table
        (CHK, [17.0, 4.0]),
        (XYZ + "<masses mode='chk'> start.chk </masses>", [17.0, 4.0]),
        (CHK + ONE, [17.0, 3.0]),
        (CHK + XYZ, None),  # the later file overwrites
        (XYZ + "<masses mode='xyz'> heavy.xyz </masses>", [17.999161, 2.0141]),
        (XYZ + "<masses mode='pdb'> heavy.pdb </masses>", [17.999161, 2.0141]),
        (XYZ + MANUAL + "<masses mode='ase'> masses.extxyz </masses>", [15.5, 2.5]),
        ("<file mode='ase'> masses.extxyz </file>", [15.5, 2.5]),
        ("<file mode='ase'> masses.extxyz </file>" + ONE, [15.5, 3.0]),
        (XYZ + ATOMIC, [5.0 / DALTON, 7.0 / DALTON]),  # electron masses without a unit
    ],
)
def test_masses_of_an_input_are_those_that_ipi_initializes(
    tmp_path: Path, initialize: str, masses: list[float] | None
) -> None:
    text = CHECKPOINT.format(masses=f"{17 * DALTON:.12e}, {4 * DALTON:.12e}", mode="nvt")
    (tmp_path / "start.chk").write_text(text)
    (tmp_path / "heavy.xyz").write_text("2\n\nO18 0 0 0\nD 0 0 1\n")
    atom = "ATOM  {:5d} {:>4s}   1     1    {:8.3f}   0.000   0.000  0.00  0.00\n"
    rows = [atom.format(1, "O18", 0.0), atom.format(2, "D", 1.0)]
    head = "CRYST1    9.000    9.000    9.000  90.00  90.00  90.00 P 1           1\n"
    (tmp_path / "heavy.pdb").write_text(head + "".join(rows) + "END\n")
    head = 'Properties=species:S:1:pos:R:3:masses:R:1 pbc="F F F"'
    (tmp_path / "masses.extxyz").write_text(f"2\n{head}\nO 0 0 0 15.5\nH 0 0 1 2.5\n")
    (found,) = read_systems(write(tmp_path / "input.xml", system(initialize=initialize)))
    of_run = found.masses(("O", "H"))
    if masses is None:
        assert of_run is None
    else:
        assert of_run is not None
        # i-PI's dalton differs from that of CODATA in the ninth digit
        np.testing.assert_allclose(of_run / DALTON, masses, rtol=1e-7)


@pytest.mark.parametrize(
    ("masses", "said"),
    [
        ("<masses mode='xyz'> gone.xyz </masses>", "gone.xyz, which is not there; put it back, or"),
        ("<masses mode='xyz'> input.xml </masses>", "input.xml, which cannot be read"),
        ("<masses mode='manual' units='stone'> [1, 2] </masses>", "stone"),
        ("<masses mode='manual'> [ 1, heavy ] </masses>", "'heavy'"),
        (
            "<masses mode='chk'> gone.chk </masses>",
            "gone.chk, which is not there; put it back, or keep RESTART",
        ),
        ("<masses mode='manual'> [ 1, 2, 3 ] </masses>", "3"),
    ],
)
def test_masses_that_cannot_be_read_are_refused_by_file_and_value(
    tmp_path: Path, masses: str, said: str
) -> None:
    path = write(tmp_path / "input.xml", system(initialize=XYZ + masses))
    (found,) = read_systems(path)
    with pytest.raises(ConfigError, match=r"input\.xml: <masses") as caught:
        found.masses(("O", "H"))
    assert said in str(caught.value)


def test_a_checkpoint_of_other_atoms_is_refused_and_its_own_masses_are_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "RESTART"
    path.write_text(CHECKPOINT.format(masses="5.0, 7.0", mode="nvt"))
    (found,) = read_systems(path)
    assert found.is_checkpoint
    assert found.masses(("O", "H")) == pytest.approx([5.0, 7.0])
    with pytest.raises(ConfigError, match=r"2 atoms O H ..., but the run has 1 atoms O .* remove"):
        found.masses(("O",))


TEMPLATE = """<system_template><labels> [ N, T, T1 ] </labels>
<instance> [ a, 300, nvt ] </instance><instance> [ b, 600, 'n&lt;e' ] </instance>
<template><system prefix='N'><motion><dynamics mode='T1'/></motion>
<ensemble><temperature units='kelvin'> T </temperature></ensemble></system></template>
</system_template>"""


def test_a_template_makes_one_system_for_each_instance(tmp_path: Path) -> None:
    found = read_systems(write(tmp_path / "input.xml", TEMPLATE))
    assert [one.prefix for one in found] == ["a_run", "b_run"]
    assert [one.number for one in found] == [0, 1]
    assert [one.dynamics for one in found] == [{"nvt"}, {"n<e"}]
    assert [one.temperature for one in found] == pytest.approx([KT, 2.0 * KT], rel=1e-6)


@pytest.mark.parametrize(
    ("repindex", "ensembles"),
    [("", [0, 1]), ("<repindex> [ 1, 0 ] </repindex>", [1, 0])],
)
def test_replica_exchange_tells_the_ensemble_of_each_system(
    tmp_path: Path, repindex: str, ensembles: list[int]
) -> None:
    exchange = f"<smotion mode='remd'><remd>{repindex}</remd></smotion>"
    path = write(tmp_path / "input.xml", system("a") + system("b") + exchange)
    assert [one.ensemble for one in read_systems(path)] == ensembles


def test_an_exchange_of_another_number_of_systems_is_refused_by_file(tmp_path: Path) -> None:
    exchange = "<smotion mode='remd'><remd><repindex> [ 1, 0 ] </repindex></remd></smotion>"
    with pytest.raises(ConfigError, match=r"input\.xml: "):
        read_systems(write(tmp_path / "input.xml", system("a") + exchange))


def test_restart_comes_first_then_the_newest_checkpoint_then_inputs(tmp_path: Path) -> None:
    output = "<output prefix='run'><checkpoint filename='chk'/></output>"
    write(tmp_path / "input.xml", system(), output)
    write(tmp_path / "other.xml", system(), "<output prefix='other'/>")
    text = CHECKPOINT.format(masses="5.0, 7.0", mode="nvt")
    for age, name in enumerate(("run.chk_20", "run.chk_10", "RESTART"), start=1):
        (tmp_path / name).write_text(text)
        os.utime(tmp_path / name, (1e9 - age, 1e9 - age))
    found = find_systems(tmp_path / "run")
    assert [one.path.name for one in found] == ["RESTART", "run.chk_20", "input.xml"]
    assert found[-1].checkpoints == ("run.chk",)


def test_a_file_that_cannot_be_read_is_named_and_the_others_count(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "input.xml", system())
    (tmp_path / "broken.xml").write_text("<simulation>")
    write(tmp_path / "warm.xml", system().replace("300", "warm"))
    assert [one.path.name for one in find_systems(tmp_path / "run")] == ["input.xml"]
    assert "broken.xml is not used for the run" in caplog.text
    assert "warm.xml is not used for the run" in caplog.text


def test_the_temperature_is_known_where_thermostats_agree_and_checkpoints_count_first(
    tmp_path: Path,
) -> None:
    hot = read_systems(write(tmp_path / "hot.xml", system(kelvin=600)))
    cold = read_systems(write(tmp_path / "cold.xml", system(kelvin=300, mode="npt")))
    free = read_systems(write(tmp_path / "free.xml", system(mode="nve")))
    (tmp_path / "RESTART").write_text(CHECKPOINT.format(masses="5.0, 7.0", mode="nvt"))
    restart = read_systems(tmp_path / "RESTART")
    assert ensemble_temperature(cold) == pytest.approx(KT, rel=1e-6)
    assert ensemble_temperature([*cold, *hot]) is None
    assert ensemble_temperature([*cold, *free]) is None
    assert ensemble_temperature(free) is ensemble_temperature([]) is None
    assert ensemble_temperature([*restart, *hot]) == pytest.approx(KT, rel=1e-6)


def test_velocities_of_several_beads_have_another_temperature_than_their_centroid(
    tmp_path: Path,
) -> None:
    one = read_systems(write(tmp_path / "one.xml", system(beads=1)))
    eight = read_systems(write(tmp_path / "eight.xml", system(beads=8)))
    for systems, quantity, known in (
        (one, "velocities", True),
        (eight, "velocities", False),
        (eight, "v_centroid", True),
    ):
        assert (kinetic_temperature(systems, quantity) is not None) == known


def test_roundings_of_one_temperature_are_the_same_and_steps_of_a_ladder_are_not() -> None:
    found = np.array([298.0, 298.15, 300.0, 302.0, 295.0])  # K
    assert is_same_temperature(found, 298.15).tolist() == [True, True, False, False, False]
