"""Fields in the ensembles of the real i-PI: what is conserved, weighted, contracted and driven."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ipi_runs import ffdirect, make_input, run_ipi, write_oscillators

from mlobs_client.structure import Array

OUTPUT = """<output prefix='run'>
    <properties filename='out'> [ step, conserved, potential ] </properties>
    <trajectory filename='pos'> positions </trajectory>
  </output>"""
FIELD = '[field]\nvector = [0.004, -0.006, 0.008]\nunit = "atomic_unit"\n'
DISPLACEMENT = '[displacement]\nvector = [0.004, -0.006, 0.008]\nunit = "atomic_unit"\n'
PIEZOELECTRIC = """structure = "init.xyz"
[potential]
kind = "toy"
name = "piezoelectric_crystal"
[potential.parameters]
sites = [[0, 0, 0], [5.7, 1.9, 0], [0, 3.8, 7.6]]
charges = [-2, 1, 1]
reference_cell = [[17, 0, 0], [1.9, 18.9, 0], [1.0, 1.3, 20.8]]
bulk_modulus = 0.0002
shear_modulus = 0.0001
spring_constant = 0.1
softening = -1.0
"""
CRYSTAL = """3
Lattice="9.0 0.0 0.0 1.0 10.0 0.0 0.5 0.7 11.0" Properties=species:S:1:pos:R:3 pbc="T T T"
O 0.1 0.0 -0.1
H 3.0 1.2 0.0
H 0.2 2.0 4.0
"""
BAROSTAT = """<barostat mode='isotropic'> <tau units='femtosecond'> 20 </tau>
          <thermostat mode='langevin'> <tau units='femtosecond'> 1e9 </tau> </thermostat>
        </barostat>
        <thermostat mode='svr'> <tau units='femtosecond'> 1e9 </tau> </thermostat>"""
"""Thermostats that do nothing, so that the enthalpy alone is conserved."""


def conserved(folder: Path) -> Array:
    return np.loadtxt(folder / "run.out")[:, 1]


def scatter(folder: Path, xml: str) -> float:
    """Standard deviation of the conserved energy; atoms in wells move with their centre of mass."""
    free = xml.replace("<motion mode='dynamics'>", "<motion mode='dynamics'><fixcom>False</fixcom>")
    (folder / "input.xml").write_text(free)
    run_ipi(folder)
    return float(np.std(conserved(folder)))


@pytest.mark.parametrize("table", [FIELD, DISPLACEMENT + 'axes = "yz"\n'])
def test_the_energy_is_conserved_to_second_order_in_the_time_step(
    tmp_path: Path, table: str
) -> None:
    write_oscillators(tmp_path, "unused", table)
    coarse, fine = (
        scatter(tmp_path, make_input(OUTPUT, ffdirect(2), steps, timestep=dt))
        for steps, dt in ((100, 0.5), (200, 0.25))
    )
    # exactly 4 for infinitely small steps; forces that are no gradient drift at all steps alike
    assert coarse / fine == pytest.approx(4.0, rel=0.15)


REDUCED = "reduced = true\n"


@pytest.mark.parametrize("table", [FIELD + REDUCED, DISPLACEMENT, DISPLACEMENT + REDUCED])
def test_the_enthalpy_is_conserved_when_the_cell_changes(tmp_path: Path, table: str) -> None:
    (tmp_path / "init.xyz").write_text(CRYSTAL)
    (tmp_path / "client.toml").write_text(PIEZOELECTRIC + table)
    output = OUTPUT.replace("potential ]", "potential, volume ]")
    xml = make_input(output, ffdirect(2), 100, timestep=0.5, mode="npt")
    xml = xml.replace("</temperature>", "</temperature> <pressure> 0 </pressure>")
    xml = xml.replace("</timestep>", f"</timestep> {BAROSTAT}")
    coarse = scatter(tmp_path, xml)
    volumes = np.loadtxt(tmp_path / "run.out")[:, 3]
    assert np.ptp(volumes) > 0.01 * volumes[0]  # else a wrong virial would not be noticed
    halved = xml.replace("> 100 <", "> 200 <").replace("> 0.5 <", "> 0.25 <")
    fine = scatter(tmp_path, halved)
    assert coarse / fine == pytest.approx(4.0, rel=0.15)


@pytest.mark.parametrize("contracted", ["", "nbeads='1'"])
def test_a_field_of_its_own_with_a_weight_is_that_much_of_the_field(
    tmp_path: Path, contracted: str
) -> None:
    """Its force on integer charges is the same on all beads, so contraction changes nothing."""
    write_oscillators(tmp_path, "unused", FIELD)
    potential = (tmp_path / "client.toml").read_text().replace(FIELD, "")
    (tmp_path / "potential.toml").write_text(potential)
    (tmp_path / "field.toml").write_text(potential.replace("[potential]", "[dipole]") + FIELD)
    halved = FIELD.replace("0.004, -0.006, 0.008", "0.002, -0.003, 0.004")
    (tmp_path / "client.toml").write_text(potential + halved)
    (tmp_path / "input.xml").write_text(make_input(OUTPUT, ffdirect(2), steps=20))
    run_ipi(tmp_path)
    fused = np.loadtxt(tmp_path / "run.out")
    both = "".join(
        ffdirect().replace("client.toml", f"{name}.toml").replace("'mlobs'", f"'{name}'")
        for name in ("potential", "field")
    )
    xml = make_input(OUTPUT, both, steps=20)
    forces = (
        f"<force forcefield='potential'/> <force forcefield='field' weight='0.5' {contracted}/>"
    )
    (tmp_path / "input.xml").write_text(xml.replace("<force forcefield='mlobs'/>", forces))
    run_ipi(tmp_path)
    # rounding, over 20 steps
    np.testing.assert_allclose(np.loadtxt(tmp_path / "run.out"), fused, rtol=1e-12)


HARMONIC = """structure = "init.xyz"
virial = "none"
[potential]
kind = "toy"
name = "harmonic_crystal"
[potential.parameters]
sites = [[0, 0, 0], [3, 1, 0], [0, 2, 4]]
hessian = {hessian}
born_charges = {born_charges}
[observables]
extras = ["born_charges"]
"""
EFIELD = """<efield> <amp> [ 0.0, 0.0, 0.01 ] </amp> <freq units='thz'> 20.0 </freq>
          <phase> 0.0 </phase> <peak units='femtosecond'> 2.0 </peak>
          <sigma units='femtosecond'> 2.0 </sigma> </efield> <bec mode='driver'/>"""


@pytest.mark.parametrize("rule", ["", 'sum_rule = "restore"\n'])
def test_driven_dynamics_takes_restored_charges_and_no_others(tmp_path: Path, rule: str) -> None:
    born_charges = np.random.default_rng(1).normal(size=(3, 3, 3))  # obey nothing
    parameters = {"hessian": (0.1 * np.eye(9)).tolist(), "born_charges": born_charges.tolist()}
    (tmp_path / "client.toml").write_text(HARMONIC.format(**parameters) + rule)
    (tmp_path / "init.xyz").write_text(CRYSTAL)
    xml = make_input(OUTPUT, ffdirect(), steps=4, beads=1)
    xml = xml.replace("dynamics mode='nve'", "driven_dynamics mode='eda-nve'")
    xml = xml.replace("</dynamics>", f"{EFIELD} </driven_dynamics>")
    xml = xml.replace("<motion mode='dynamics'>", "<motion mode='driven_dynamics'>")
    (tmp_path / "input.xml").write_text(xml)
    if rule:
        run_ipi(tmp_path)
        assert len(conserved(tmp_path)) == 5
    else:
        with pytest.raises(AssertionError, match="do not satisfy acoustic sum rule"):
            run_ipi(tmp_path)
