"""An arrest is certain with 95 % confidence, or is not claimed."""

from __future__ import annotations

import numpy as np
import pytest

from mlobs_client.analysis.liquids.arrest import arrest_field
from mlobs_client.errors import ConfigError, RecordError
from mlobs_client.results.estimate import Estimate
from mlobs_client.results.statistics import mean_of_independent

FIELDS = np.array([0.0, 0.05, 0.1, 0.2])


def estimates(values: list[float], error: float) -> list[Estimate]:
    return [Estimate(value, error, "angstrom^2/ps", 40) for value in values]


def test_the_arrest_lies_between_the_last_liquid_and_the_first_arrested_field() -> None:
    arrest = arrest_field(FIELDS, estimates([0.2, 0.15, 0.001, 0.0], 0.004))
    assert arrest.phases == ("liquid", "liquid", "arrested", "arrested")
    assert (arrest.last_liquid, arrest.first_arrested) == (0.05, 0.1)
    assert "above a field between 0.05 and 0.1 V/angstrom" in str(arrest)


def test_a_point_within_two_errors_of_the_fraction_decides_nothing() -> None:
    arrest = arrest_field(FIELDS, estimates([0.2, 0.15, 0.03, 0.025], 0.01))
    assert arrest.phases == ("liquid", "liquid", "undecided", "undecided")
    assert arrest.first_arrested is None
    assert "at no field up to 0.2 V/angstrom with certainty" in str(arrest)


def test_a_liquid_at_the_threshold_is_called_certain_in_one_of_twenty_cases() -> None:
    rng = np.random.default_rng(1)
    certain, n_cases = 0, 1000
    for _ in range(n_cases):
        blocks = rng.normal(1.0, 0.15, 4), rng.normal(0.1, 0.03, 4)
        arrest = arrest_field(np.array([0.0, 1.0]), [mean_of_independent(one) for one in blocks])
        certain += arrest.phases[1] != "undecided"
    # 5 % or fewer, of which 1000 cases show 0.7 %; two errors of four blocks made it 10.5 %
    assert certain / n_cases < 0.05 + 3 * 0.007


def test_a_field_without_an_error_decides_nothing() -> None:
    unknown = estimates([0.2, 0.001], 0.004)
    unknown[1] = unknown[1].without_error("too short")
    arrest = arrest_field(np.array([0.0, 0.1]), unknown)
    assert arrest.phases == ("liquid", "undecided")
    assert np.isnan(arrest.ratio[1].error)


def test_the_error_of_a_ratio_has_both_errors() -> None:
    # 0.1 +- 0.02 over 0.2 +- 0.02: 0.5 sqrt(0.2^2 + 0.1^2) = 0.1118
    arrest = arrest_field(np.array([0.1, 0.0]), estimates([0.1, 0.2], 0.02))
    assert (arrest.ratio[1].value, arrest.ratio[1].error) == (1.0, 0.0)
    assert arrest.ratio[0].value == pytest.approx(0.5)
    assert arrest.ratio[0].error == pytest.approx(0.1118, abs=1e-4)


def test_fields_of_both_signs_count_by_their_strength_and_keep_their_order() -> None:
    fields = np.array([-0.2, -0.1, 0.0, 0.1])
    arrest = arrest_field(fields, estimates([0.0, 0.14, 0.2, 0.16], 0.002))
    assert arrest.field.tolist() == fields.tolist()
    assert [ratio.value for ratio in arrest.ratio] == pytest.approx([0.0, 0.7, 1.0, 0.8])
    assert arrest.phases == ("arrested", "liquid", "liquid", "liquid")
    assert (arrest.last_liquid, arrest.first_arrested) == (0.1, 0.2)
    assert "above a field between 0.1 and 0.2 V/angstrom" in str(arrest)
    arrest = arrest_field(fields, estimates([0.1, 0.14, 0.2, 0.16], 0.002))
    assert "at no field up to 0.2 V/angstrom with certainty" in str(arrest)


def test_impossible_input_is_refused() -> None:
    with pytest.raises(RecordError, match="one at zero field"):
        arrest_field(FIELDS[1:], estimates([0.1] * 3, 0.01))
    with pytest.raises(RecordError, match="not above zero with 95 % confidence"):
        arrest_field(FIELDS, estimates([0.01] * 4, 0.01))
    with pytest.raises(ConfigError, match="fraction = 1"):
        arrest_field(FIELDS, estimates([0.1] * 4, 0.01), fraction=1.0)
