from __future__ import annotations

import pytest
from ase import Atoms
from ase.build import bulk, molecule
from ase.constraints import FixAtoms

from mlobs_client.errors import ConfigError
from mlobs_client.inputs.settings import TIMESTEPS, choose
from mlobs_client.inputs.starting_structure import Start, prepare

COPPER = prepare(bulk("Cu", cubic=True))
WATER = prepare(molecule("H2O"))


def of_mass(mass: float) -> Start:
    return prepare(Atoms("H2", [[0, 0, 0], [0, 0, 1]], masses=[mass, 40.0]))


@pytest.mark.parametrize(
    ("mass", "timestep"),
    [(1.008, 0.5), (2.014, 0.7), (3.016, 1.0), (12.011, 1.0), (14.007, 1.0), (63.5, 2.0)],
)
def test_the_lightest_atom_decides_on_the_time_step(mass: float, timestep: float) -> None:
    assert choose(of_mass(mass)).timestep == timestep
    assert choose(of_mass(mass), timestep=0.25).timestep == 0.25


def test_the_time_step_moves_no_bond_by_more_than_20_wavenumbers() -> None:
    for limit, _, _ in TIMESTEPS:
        assert choose(of_mass(min(limit, 100.0) - 0.01)).shift < 20.0
    # (w dt)^2 / 24 with w = 2 pi c 3700 cm^-1 = 0.696950 / fs: 3700 * 0.348475^2 / 24
    assert choose(WATER).shift == pytest.approx(18.721, abs=1e-3)


@pytest.mark.parametrize("timestep", [0.1, 0.5, 0.7, 1.0, 2.0, 3.0])
def test_strides_are_of_two_femtoseconds_and_divide_the_steps(timestep: float) -> None:
    settings = choose(COPPER, timestep=timestep)
    assert settings.stride * timestep == pytest.approx(2.0, abs=1.0)
    assert settings.n_steps % (10 * settings.stride) == 0
    assert settings.n_steps * timestep == pytest.approx(20_000.0, rel=0.01)


def test_beads_are_those_that_are_asked_for_or_usual() -> None:
    assert choose(COPPER).beads == 1
    assert choose(COPPER, "trpmd").beads == 8
    assert choose(COPPER, "nve", beads=5).beads == 5
    assert choose(COPPER, "nve", beads=5).batch_size == 3
    assert choose(COPPER, "trpmd").command.endswith("-n 2")


def test_molecules_and_fixed_atoms_have_a_thermostat_on_each_atom() -> None:
    fixed = bulk("Cu", cubic=True)
    fixed.set_constraint(FixAtoms([0]))
    is_local = [choose(start).is_local for start in (WATER, COPPER, prepare(fixed))]
    assert is_local == [True, False, True]


def test_a_pressure_needs_a_cell_and_no_fixed_atoms() -> None:
    assert choose(COPPER, "npt").ensemble == "npt"
    with pytest.raises(ConfigError, match="use --ensemble nvt"):
        choose(WATER, "npt")
    fixed = bulk("Cu", cubic=True)
    fixed.set_constraint(FixAtoms([0]))
    with pytest.raises(ConfigError, match="fixed atoms; use --ensemble nvt"):
        choose(prepare(fixed), "npt")


def test_trpmd_with_one_bead_is_refused() -> None:
    with pytest.raises(ConfigError, match="is classical"):
        choose(COPPER, "trpmd", beads=1)
