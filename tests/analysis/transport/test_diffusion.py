"""Both ways to a diffusion coefficient find the one of an exactly solvable fluid."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.transport.diffusion import (
    correct_for_size,
    diffusion_from_displacements,
    diffusion_from_velocities,
    mean_squared_displacement,
)
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import Estimate
from mlobs_client.units import ANGSTROM, FEMTOSECOND, KELVIN, PICOSECOND

Array = npt.NDArray[np.float64]
N_ATOMS = 24
MASSES = np.full(N_ATOMS, 2000.0)
EVERY = np.ones(N_ATOMS, dtype=bool)
TIMESTEP = 20.0 * FEMTOSECOND
FRICTION = 1.0 / (200.0 * FEMTOSECOND)
KT = 300.0 * KELVIN
EXACT = KT / (MASSES[0] * FRICTION) / ANGSTROM**2 * PICOSECOND
"""D of Langevin's equation, kT/(m friction), angstrom^2/ps."""
HELD = EXACT * (1.0 - 1.0 / N_ATOMS)
"""The same without the motion of the center of mass."""
WINDOW = (2.0, 4.0)
"""ps: ten correlation times and more, where the displacement has become a straight line."""


def brownian(n_samples: int, seed: int) -> tuple[Array, Array]:
    """Free Langevin particles: positions and velocities without error of a time step."""
    rng = np.random.default_rng(seed)
    decay = np.exp(-FRICTION * TIMESTEP)
    kt_over_mass = KT / MASSES[0]
    # exact covariance of the two noises of Ornstein and Uhlenbeck
    of_x = kt_over_mass / FRICTION**2 * (2.0 * FRICTION * TIMESTEP - 3.0 + 4.0 * decay - decay**2)
    of_v = kt_over_mass * (1.0 - decay**2)
    of_both = kt_over_mass / FRICTION * (1.0 - decay) ** 2
    noise = np.linalg.cholesky(np.array([[of_x, of_both], [of_both, of_v]]))
    x, v = np.empty((2, n_samples, N_ATOMS, 3))
    x[0], v[0] = 0.0, np.sqrt(kt_over_mass) * rng.normal(size=(N_ATOMS, 3))
    for t in range(1, n_samples):
        kicks = np.einsum("ab,bIi->aIi", noise, rng.normal(size=(2, N_ATOMS, 3)))
        x[t] = x[t - 1] + (1.0 - decay) / FRICTION * v[t - 1] + kicks[0]
        v[t] = decay * v[t - 1] + kicks[1]
    return x, v


def test_both_ways_find_the_diffusion_of_langevin_particles_and_agree() -> None:
    pulls = []
    for seed in range(12):
        x, v = brownian(8000, seed)
        found = diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, 8, WINDOW)
        other = diffusion_from_velocities([v], MASSES, TIMESTEP, EVERY, 8, WINDOW)
        assert (found.coefficient.unit, found.window) == ("angstrom^2/ps", WINDOW)
        # the trapezoidal rule on exp(-t/10 samples): 1/12 (1/10)^2 = 1e-3 of D
        assert other.coefficient.value == pytest.approx(
            found.coefficient.value, abs=2.0 * found.coefficient.error
        )
        pulls += [(one.coefficient.value - HELD) / one.coefficient.error for one in (found, other)]
    # 12 independent pulls of width 1 (8 blocks: 1.2), each seen twice
    assert abs(np.mean(pulls)) < 1.1
    assert np.std(pulls) == pytest.approx(1.2, abs=0.7)


def test_particles_that_have_flown_first_diffuse_with_a_power_of_one() -> None:
    exponents = []
    for seed in range(8):
        x, v = brownian(4000, seed)
        found = diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, 8, WINDOW)
        other = diffusion_from_velocities([v], MASSES, TIMESTEP, EVERY, 8, WINDOW)
        exponents += [found.msd_exponent.value, other.msd_exponent.value]
        assert not found.coefficient.no_error
        assert found.msd_exponent.error < 0.3
    # 8 independent ones of width 0.1; a fit of powers gives 1.08: 2 D (t - tau) has an offset
    assert np.mean(exponents) == pytest.approx(1.0, abs=0.12)


def test_a_flight_is_no_diffusion_and_has_no_error() -> None:
    x, v = brownian(4000, 0)
    early = diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, 4, (0.0, 0.06))
    # the rate of 2 D (t - tau (1 - exp(-t/tau))) is 1 - exp(-t/tau), here at 0.1 and 0.25 tau
    expected = 1.0 + np.log((1 - np.exp(-0.25)) / (1 - np.exp(-0.1))) / np.log(2.5)
    assert early.msd_exponent.value == pytest.approx(expected, abs=0.04)
    assert re.search(
        r"no error: from 0 to 0.06 ps the mean squared displacement grows as t\^1\.9.*, not as t: "
        r"the motion is not diffusive yet",
        str(early.coefficient),
    )
    running = diffusion_from_velocities([v], MASSES, TIMESTEP, EVERY, 4, (0.0, 0.06))
    assert np.isnan(running.coefficient.error)
    straight = np.arange(4000)[:, None, None] * np.random.default_rng(0).normal(size=(24, 3))
    flight = diffusion_from_displacements([straight], MASSES, TIMESTEP, EVERY, 4, WINDOW)
    assert flight.msd_exponent.value == pytest.approx(2.0, abs=1e-6)


def test_the_displacement_by_fft_is_the_sum_over_all_starts() -> None:
    rng = np.random.default_rng(3)
    x = 1e3 + np.cumsum(rng.normal(size=(50, 4, 3)), axis=0)
    direct = [np.mean(np.sum((x[lag:] - x[: 50 - lag]) ** 2, axis=2)) for lag in range(20)]
    np.testing.assert_allclose(mean_squared_displacement(x, 19), direct, atol=1e-9)


def test_the_drift_of_the_whole_system_is_no_diffusion() -> None:
    x, v = brownian(400, 0)
    wind = np.array([1e-4, -2e-4, 3e-4])  # bohr/atu, as fast as the particles
    times = TIMESTEP * np.arange(400)[:, None, None]
    for make, still, moving in (
        (diffusion_from_displacements, x, x + wind * times),
        (diffusion_from_velocities, v, v + wind),
    ):
        found = [make([one], MASSES, TIMESTEP, EVERY).coefficient.value for one in (still, moving)]
        assert found[1] == pytest.approx(found[0], rel=1e-9)


def test_only_the_chosen_atoms_count() -> None:
    x, _ = brownian(400, 0)
    chosen = np.arange(N_ATOMS) < 7
    still = x.copy()
    still[:, chosen] = 0.0
    masses = np.where(chosen, 1e9, 1e-9)  # the center of mass is that of the chosen atoms
    found = diffusion_from_displacements([still], masses, TIMESTEP, chosen)
    assert found.coefficient.value == pytest.approx(0.0, abs=1e-12)


def test_a_quarter_to_half_of_a_block_is_used_if_nothing_is_said() -> None:
    x, _ = brownian(401, 0)
    found = diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, n_blocks=4)
    assert found.window == pytest.approx((0.5, 1.0))
    assert found.curve.blocks.shape == (4, 51)
    assert found.curve.mean[0] == pytest.approx(0.0, abs=1e-9)


def test_the_correction_for_the_size_is_that_of_yeh_and_hummer() -> None:
    # 2.837297 kB 300 K / (6 pi 0.85e-3 Pa s 10e-10 m) = 7.335e-10 m^2/s = 0.07335 angstrom^2/ps
    cell = 10.0 * ANGSTROM * np.eye(3)
    found = correct_for_size(Estimate(0.2, 0.01, "angstrom^2/ps", 4), KT, 0.85, cell)
    assert found.value - 0.2 == pytest.approx(0.07335, abs=2e-5)
    assert found.error == 0.01


@pytest.mark.parametrize(
    "cell", [np.diag([10.0, 10.0, 11.0]), np.array([[10.0, 0, 0], [1.0, 10.0, 0], [0, 0, 10.0]])]
)
def test_a_cell_that_is_not_cubic_has_no_such_correction(cell: Array) -> None:
    with pytest.raises(ConfigError, match="holds for cubic cells"):
        correct_for_size(Estimate(0.2, 0.01, "angstrom^2/ps", 4), KT, 0.85, cell)


def test_a_short_run_has_fewer_blocks_and_less_than_three_give_no_error() -> None:
    x, _ = brownian(400, 0)
    window = (0.5, 2.0)  # blocks of 101 samples every 20 fs
    found = diffusion_from_displacements([x[:303]], MASSES, TIMESTEP, EVERY, 4, window)
    assert found.rate.error_from == "scatter of 3 blocks"
    short = diffusion_from_displacements([x[:150]], MASSES, TIMESTEP, EVERY, 4, window, stride=40)
    reason = "1 block, needs 3: run 3.1 ps (6200 steps) more"  # 153 samples
    assert short.coefficient.no_error == short.rate.no_error == short.curve.no_error == reason
    assert short.rate.value > 0.0
    longer = diffusion_from_displacements(
        [x[: 150 + 6200 // 40]], MASSES, TIMESTEP, EVERY, 4, window
    )
    assert longer.rate.error > 0.0


def test_impossible_input_is_refused() -> None:
    x, _ = brownian(100, 0)
    with pytest.raises(RecordError, match=r"runs of at most 5 samples, 0.1 ps, are too short to"):
        diffusion_from_displacements([x[:5]], MASSES, TIMESTEP, EVERY)
    with pytest.raises(
        RecordError, match=r"100 samples, 2 ps, are too short for lags of up to 2 ps; run 0.02 ps"
    ):
        diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, window=(0.1, 2.0))
    with pytest.raises(ConfigError, match=r"from 0.2 to 0.1 ps must contain three samples or more"):
        diffusion_from_displacements([x], MASSES, TIMESTEP, EVERY, window=(0.2, 0.1))
    with pytest.raises(RecordError, match="24 atoms, with 3 masses"):
        diffusion_from_displacements([x], MASSES[:3], TIMESTEP, EVERY)
    with pytest.raises(ConfigError, match="viscosity"):
        correct_for_size(Estimate(0.2, 0.01, "angstrom^2/ps", 4), KT, 0.0, np.eye(3))
