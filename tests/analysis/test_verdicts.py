"""Right runs are hardly ever refused or warned at; long: tests/long/validate_verdicts.py."""

from __future__ import annotations

import numpy as np
import pytest
from verdicts import VERDICTS, false_alarms, masses_verdict, thermal_velocities

N_REPETITIONS = 40


@pytest.mark.parametrize("name", VERDICTS)
def test_right_runs_are_hardly_ever_refused_or_warned_at(name: str) -> None:
    verdict, most = VERDICTS[name]
    # one alarm of 40 at 1 % is chance in a third of all cases, four in one of 1600
    assert false_alarms(name, verdict, N_REPETITIONS) <= most + 3.5 / N_REPETITIONS * (most > 0.0)


def test_a_wrong_mass_is_still_found() -> None:
    velocities = thermal_velocities(2000, 2, np.random.default_rng(0))
    velocities[:, [1, 2, 4, 5]] /= np.sqrt(2.0)  # deuterium, and the centre of mass moves
    assert masses_verdict(velocities, thermostat=False, warnings=False)
