"""What velocities say of masses, of temperatures and of degrees of freedom."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.analysis.vibrations.kinetics import (
    find_freedom,
    kinetic_temperatures,
    masses_from_momentum,
)
from mlobs_client.errors import RecordError

KT = 9.5004456e-4  # 300 K in Eh, CODATA
OXYGEN, HYDROGEN = 29164.3925, 1837.4717  # electron masses
MASSES = np.array([OXYGEN, HYDROGEN, HYDROGEN])
GROUPS = {"O": np.array([True, False, False]), "H": np.array([False, True, True])}


def thermal(masses: np.ndarray, n: int = 4000, kt: float = KT, seed: int = 0) -> np.ndarray:
    """Maxwell and Boltzmann, each frame independent of the one before."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, len(masses), 3)) * np.sqrt(kt / masses)[:, None]


def at_rest(velocities: np.ndarray, masses: np.ndarray) -> np.ndarray:
    center = np.tensordot(velocities, masses, axes=(1, 0)) / masses.sum()
    return velocities - center[:, None]


def test_thermal_velocities_show_their_temperature_for_each_species() -> None:
    found = kinetic_temperatures([thermal(MASSES), thermal(MASSES, seed=1)], MASSES, GROUPS)
    # relative error sqrt(2 / n) of n coordinates: 0.9 % of 24000, 0.65 % of 48000
    for name, n in (("O", 24000), ("H", 48000)):
        expected = 300.0 * np.sqrt(2.0 / n)
        assert found[name].error == pytest.approx(expected, rel=0.5)
        assert found[name].value == pytest.approx(300.0, abs=4.0 * expected)
        assert found[name].unit == "K"


def test_a_resting_centre_of_mass_takes_from_each_atom_its_share_of_the_mass() -> None:
    still = at_rest(thermal(MASSES, 20000), MASSES)
    # uncorrected, oxygen would be at 300 (1 - 16/18) = 34 K
    found = kinetic_temperatures([still], MASSES, GROUPS)
    for name in GROUPS:
        assert found[name].value == pytest.approx(300.0, abs=4.0 * found[name].error)
        assert found[name].error < 3.0


def test_a_wrong_mass_shows_another_temperature_in_its_ratio() -> None:
    # without a resting centre of mass each species is by itself
    velocities = thermal(MASSES)
    right = kinetic_temperatures([velocities], MASSES, GROUPS)
    wrong = kinetic_temperatures([velocities], MASSES * [1.0, 2.0, 2.0], GROUPS)
    assert wrong["H"].value == pytest.approx(2.0 * right["H"].value, rel=1e-12)
    assert wrong["O"].value == pytest.approx(right["O"].value, rel=1e-12)


def test_atoms_that_never_move_have_no_temperature_and_few_samples_have_none() -> None:
    velocities = thermal(MASSES, 50)
    velocities[:, 0] = 0.0
    assert list(kinetic_temperatures([velocities], MASSES, GROUPS)) == ["H"]
    with pytest.raises(RecordError, match="4"):
        kinetic_temperatures([velocities[:3]], MASSES, GROUPS)


@pytest.mark.parametrize(
    ("fixed", "rests", "said"),
    [
        ([], False, "9 = 3 x 3 atoms"),
        ([], True, "6 = 3 x 3 atoms - 3 of the centre of mass, which is at rest"),
        ([1], False, "6 = 3 x 3 atoms - 3 of fixed coordinates"),
        # one atom that moves between fixed ones has no centre of mass to be at rest
        ([0, 2], False, "3 = 3 x 3 atoms - 6 of fixed coordinates"),
    ],
)
def test_degrees_of_freedom_are_counted_and_told(fixed: list[int], rests: bool, said: str) -> None:
    velocities = thermal(MASSES, 20)
    velocities = at_rest(velocities, MASSES) if rests else velocities
    velocities[:, fixed] = 0.0
    freedom = find_freedom([velocities], MASSES)
    assert str(freedom) == said
    assert freedom.count == int(said.split()[0])


def test_a_centre_of_mass_may_rest_along_one_axis() -> None:
    velocities = thermal(MASSES, 20)
    velocities[..., 2] = at_rest(velocities, MASSES)[..., 2]
    freedom = find_freedom([velocities], MASSES)
    assert freedom.center_at_rest.tolist() == [False, False, True]
    assert freedom.count == 8


def test_what_moves_in_one_of_several_runs_moves() -> None:
    first, second = thermal(MASSES, 20), thermal(MASSES, 20, seed=1)
    first[:, 1] = 0.0
    second[:, 2, 0] = 0.0
    assert find_freedom([first, second], MASSES).count == 9


def test_six_digits_of_a_resting_momentum_are_at_rest() -> None:
    still = at_rest(thermal(MASSES, 50), MASSES)
    written = np.array([float(f"{x:.5e}") for x in still.ravel()]).reshape(still.shape)
    assert find_freedom([written], MASSES).center_at_rest.all()


def test_a_resting_momentum_gives_the_ratios_of_masses_exactly_at_any_temperatures() -> None:
    masses = np.array([OXYGEN, *(HYDROGEN * np.array([1.0, 3.0, 1.0, 3.0]))])
    groups = {
        "O": np.arange(5) == 0,
        "H": np.isin(np.arange(5), (1, 3)),
        "T": np.isin(np.arange(5), (2, 4)),
    }
    hot = thermal(masses, 100) * np.array([0.2, 1.0, 3.0, 0.5, 0.1])[:, None]
    found = masses_from_momentum([at_rest(hot[:60], masses), at_rest(hot[60:], masses)], groups)
    assert found == pytest.approx(
        {"O": 1.0, "H": HYDROGEN / OXYGEN, "T": 3.0 * HYDROGEN / OXYGEN}, rel=1e-10
    )


def test_a_moving_centre_of_mass_tells_no_masses() -> None:
    assert masses_from_momentum([thermal(MASSES, 100)], GROUPS) is None


def test_one_species_tells_no_masses() -> None:
    still = at_rest(thermal(MASSES, 100), MASSES)
    assert masses_from_momentum([still], {"all": np.ones(3, bool)}) is None
    still[:, 0] = 0.0
    assert masses_from_momentum([still], GROUPS) is None  # only hydrogen moves


def test_a_group_that_rests_by_itself_is_left_out_of_the_ratios() -> None:
    masses = np.array([OXYGEN] + 4 * [HYDROGEN])
    velocities = thermal(masses, 100)
    velocities[:, :3] = at_rest(velocities[:, :3], masses[:3])
    velocities[:, 3:] = at_rest(velocities[:, 3:], masses[3:])
    pair = np.arange(5) > 2
    groups = {"O": np.arange(5) == 0, "H": np.isin(np.arange(5), (1, 2)), "pair": pair}
    found = masses_from_momentum([velocities], groups)
    # the pair rests whatever its mass is
    assert found == pytest.approx({"O": 1.0, "H": HYDROGEN / OXYGEN}, rel=1e-10)
