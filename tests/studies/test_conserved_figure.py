"""The conserved quantity is drawn with its drift."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client import plot
from mlobs_client.errors import ConfigError
from mlobs_client.studies.conserved_figure import conserved
from mlobs_client.units import EV, FEMTOSECOND


def test_the_drift_of_the_conserved_quantity_is_that_of_the_run() -> None:
    times = np.linspace(0.0, 10_000 * FEMTOSECOND, 500)
    noise = np.random.default_rng(0).normal(0.0, 1e-7, 500)
    values = -17.0 + noise + 3e-6 * EV * 10 * times / (1000 * FEMTOSECOND)  # 3 ueV/atom/ps
    one = conserved({"run": (times, values)}, 10, "classical nuclei")
    drift = one.numbers["drift, run"]
    assert drift.value == pytest.approx(3.0, abs=4 * drift.error)
    assert drift.unit == "µeV/atom/ps"
    (legend,) = plot.draw(one).legends
    (label,) = [text.get_text() for text in legend.get_texts()]
    assert label == f"run: drift {drift.text} µeV/atom/ps"
    assert legend.get_title().get_text() == (
        "classical nuclei; drifts: ±1 standard error,\n"
        "spectral density of the residuals at zero frequency"
    )
    (curve,) = one.curves
    assert (curve.quantity, curve.unit) == ("conserved quantity from its start", "meV/atom")
    assert curve.x[-1] == pytest.approx(10.0)
    assert curve.mean[0] == 0.0


def test_a_drift_without_an_error_is_not_in_the_legend() -> None:
    times = np.linspace(0.0, 30 * FEMTOSECOND, 15)
    values = np.random.default_rng(0).normal(0.0, 1e-7, 15)
    one = conserved({"run": (times, values)}, 10, "classical nuclei")
    assert one.numbers["drift, run"].no_error
    assert one.curves[0].label == "run"


def test_nothing_is_refused() -> None:
    with pytest.raises(ConfigError, match="0 runs"):
        conserved({}, 3, "")
