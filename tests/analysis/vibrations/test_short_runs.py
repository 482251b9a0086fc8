"""Runs too short for their spectra give what they can, and say truly what they lack."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pytest
from error_bars_spectra import AT, SETTINGS, TIMESTEP, _exact_density, _points, oscillator
from scipy.stats import norm, t

from mlobs_client.analysis.vibrations.infrared import infrared
from mlobs_client.analysis.vibrations.short_runs import COARSEST
from mlobs_client.analysis.vibrations.spectra import SpectrumSettings
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity
from mlobs_client.analysis.vibrations.vdos import vdos
from mlobs_client.errors import RecordError
from mlobs_client.units import DALTON, FEMTOSECOND, INVERSE_CM, KELVIN

Array = npt.NDArray[np.float64]
STRIDE = 4
"""Steps of the integrator between samples, which are 1 fs apart."""
NOISE = np.random.default_rng(0).normal(size=(60_000, 3))


def density(
    n_samples: int,
    resolution: float = 20.0,
    n_blocks: int = 10,
    window: str = "parzen",
    n_runs: int = 1,
    *,
    biased: bool = True,
) -> SpectralDensity:
    settings = SpectrumSettings(resolution, n_blocks, window, stride=STRIDE)
    runs = [NOISE[k * n_samples :][:n_samples] for k in range(n_runs)]
    return SpectralDensity.of(runs, FEMTOSECOND, settings, biased=biased)


def samples_said(sentence: str) -> int:
    """The number of samples by which a run must be longer."""
    (steps,) = re.findall(r"run (?:at least )?[\d.e-]+ ps \((\d+) steps\) more", sentence)
    return int(steps) // STRIDE


def test_a_run_has_as_many_blocks_as_fit_and_their_scatter_is_the_error() -> None:
    # 20 cm^-1 take 2.55 ps for the biased window of Parzen
    short = density(11_000)
    assert len(short.blocks) == 4
    assert short.no_error == ""
    assert short.resolution == pytest.approx(20.0, rel=2e-3)
    said = str(short.details["short runs"])
    assert said.startswith("4 blocks at 20 cm^-1, not 10 at 20 cm^-1: run ")
    longer = density(11_000 + samples_said(said))
    assert len(longer.blocks) == 10
    assert "short runs" not in longer.details


@pytest.mark.parametrize("n_blocks", [3, 6])
def test_errors_of_few_blocks_cover_the_exact_spectrum_as_students_t_does(n_blocks: int) -> None:
    random, masses = np.random.default_rng([20261201, n_blocks]), np.array([DALTON])
    deviations, exact = [], None
    for _ in range(400):
        velocities = oscillator(random, n_samples=1300 * n_blocks)[1][:, None, :]
        found = vdos(velocities, masses, TIMESTEP, SETTINGS)
        assert len(found.blocks) == n_blocks
        exact = _exact_density(found) if exact is None else exact  # the same for all
        value, error, right = (each[5] for each in _points(found, exact, AT))  # at the maximum
        deviations.append(abs(value - right) / error)
    law = t(n_blocks - 1)
    # one error is the quantile of 68.3 % of the law; 400 repetitions know it within 0.023
    for n_errors, tolerance in (1.0, 0.07), (2.0, 0.05):
        expected = 2.0 * law.cdf(n_errors * law.ppf(norm.cdf(1.0))) - 1.0
        assert np.mean(np.array(deviations) < n_errors) == pytest.approx(expected, abs=tolerance)


def test_fewer_than_three_blocks_give_no_error_and_both_remedies_give_one() -> None:
    short = density(5000)
    assert len(short.blocks) == 1
    assert short.no_error.startswith("1 block at 20 cm^-1, needs 3 at 20 cm^-1: run ")
    longer = density(5000 + samples_said(short.no_error))
    assert (len(longer.blocks), longer.no_error) == (3, "")
    (advised,) = re.findall(r"or ask for a resolution of (\d+) cm", short.no_error)
    coarser = density(5000, resolution=float(advised))
    assert (len(coarser.blocks), coarser.no_error) == (3, "")


@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("window", ["parzen", "hann", "boxcar"])
@pytest.mark.parametrize("n_samples", [91, 136, 502, 2100])
def test_a_run_shorter_than_a_block_has_the_finest_resolution_that_it_allows(
    n_samples: int, window: str, biased: bool
) -> None:
    short = density(n_samples, 7.3, window=window, biased=biased)
    # the mean is subtracted before an unbiased correlation, and nothing is left of a single block
    assert len(short.blocks) == (1 if biased else 2)
    (shown,) = re.findall(r"^resolution (\d+) cm⁻¹, not 7.3$", str(short.details["note"]))
    # lags are rounded to samples, of which the shortest blocks have 40
    assert short.resolution == pytest.approx(float(shown), rel=0.04)
    needed = short.details["longest lag (samples)"]
    assert 0.8 * short.details["samples per block"] < needed < short.details["samples per block"]
    longer = density(n_samples + samples_said(short.no_error), 7.3, window=window, biased=biased)
    assert (len(longer.blocks), longer.no_error) == (3, "")
    assert "note" not in longer.details


def test_three_runs_shorter_than_a_block_are_three_blocks() -> None:
    short = density(1000, n_runs=3)
    assert (len(short.blocks), short.no_error) == (3, "")
    assert short.resolution == pytest.approx(51.0, rel=2e-3)  # 20 x 2.55 ps/1 ps
    assert "more in each run" in str(short.details["short runs"])


@pytest.mark.parametrize("spacing", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("biased", [True, False])
@pytest.mark.parametrize("window", ["parzen", "boxcar"])
def test_only_a_few_frames_are_refused_and_the_least_that_is_said_is_enough(
    spacing: float, biased: bool, window: str
) -> None:
    settings = SpectrumSettings(10.0, window=window, stride=STRIDE)

    def compute(n_samples: int) -> SpectralDensity:
        dt = spacing * FEMTOSECOND
        return SpectralDensity.of([NOISE[:n_samples]], dt, settings, biased=biased)

    with pytest.raises(RecordError, match="4 samples are too few for a spectrum") as refused:
        compute(4)
    found = compute(4 + samples_said(str(refused.value)))
    assert found.resolution < 1.05 * COARSEST
    assert found.no_error


def test_a_curve_without_errors_has_peaks_and_integrals_with_the_reason() -> None:
    phases = 1000.0 * INVERSE_CM * FEMTOSECOND * np.arange(1200)
    velocities = np.zeros((1200, 2, 3))
    velocities[:, 0, 0] = np.cos(phases)
    velocities[:, 1, 0] = -velocities[:, 0, 0]
    found = vdos(velocities, np.ones(2), FEMTOSECOND)
    assert np.isnan(found.error).all()
    peak, area = found.peak(800.0, 1200.0), found.integral(0.0, 4000.0)
    assert peak.value == pytest.approx(1000.0, abs=1.0)
    assert area.value == pytest.approx(1.0, abs=0.01)
    assert peak.no_error == area.no_error == found.no_error != ""


def test_members_are_cut_like_their_mean() -> None:
    dipoles = np.cumsum(NOISE[:2000], axis=0)
    members = np.stack([0.9 * dipoles, 1.1 * dipoles])
    found = infrared(dipoles, FEMTOSECOND, 1000.0, 300.0 * KELVIN, members=members)
    assert found.members is not None
    np.testing.assert_allclose(found.members[0], 0.81 * found.mean, rtol=1e-9)
