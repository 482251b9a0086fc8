"""Settings of spectra, and what runs must look like."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from mlobs_client.analysis.vibrations.spectra import SpectrumSettings, as_runs, spectrum
from mlobs_client.analysis.vibrations.spectral_density import SpectralDensity
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.units import FEMTOSECOND, INVERSE_CM

Array = npt.NDArray[np.float64]


def test_the_error_of_a_noisy_broad_band_is_the_scatter_over_repetitions(
    langevin: Callable[..., tuple[Array, Array]],
) -> None:
    omega_0, friction, dt = 2000 * INVERSE_CM, 100 * INVERSE_CM, FEMTOSECOND
    _, v = langevin(omega_0, friction, 1.0, dt, 30_000, 60, seed=5)
    settings = SpectrumSettings(resolution=20.0, n_blocks=10)
    estimates = []
    for i in range(0, 60, 3):
        density = SpectralDensity.of([v[:, i : i + 3]], dt, settings)
        one = spectrum("test", density.wavenumber, density.blocks, "1", density.resolution)
        estimates.append(one.peak(1700, 2300))
    pulls = [(estimate.value - 2000.0) / estimate.error for estimate in estimates]
    # 20 pulls: width known to 16 %, mean to 0.25; Student with 9 degrees of freedom adds 7 %
    assert 0.6 < np.std(pulls) < 1.7
    assert abs(np.mean(pulls)) < 0.9
    assert np.mean([estimate.error for estimate in estimates]) < 10.0  # a tenth of the width


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resolution": 0.0}, "resolution = 0.0"),
        ({"resolution": float("nan")}, "resolution = nan"),
        ({"n_blocks": 1}, "n_blocks = 1"),
        ({"window": "hanning"}, "window = 'hanning': unknown; use one of parzen"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        SpectrumSettings(**settings)  # type: ignore[arg-type]


def test_runs_of_wrong_shape_are_refused() -> None:
    with pytest.raises(RecordError, match=r"dipoles must have shape \(t, 3\) each, got \(5, 2\)"):
        as_runs(np.ones((5, 2)), ("t", "3"), "dipoles")
    with pytest.raises(RecordError, match="no run was given"):
        as_runs([], ("t", "3"), "dipoles")
    with pytest.raises(RecordError, match=r"dipoles\[1, 2\] is inf"):
        as_runs([np.ones((4, 3)), np.array([[0, 0, 0], [0, 0, np.inf]])], ("t", "3"), "dipoles")
