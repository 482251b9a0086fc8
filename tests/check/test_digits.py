import pytest

from mlobs_client.check.digits import check_energy
from mlobs_client.units import EV

ALL_DIGITS = "floatformat='%25.17e'"


@pytest.mark.parametrize("written", ["", "floatformat='%16.8e'", "floatformat='%22.15e'"])
def test_a_restart_that_is_rounded_is_a_warning(case, texts, written):
    case.replace(case.input, ALL_DIGITS, written)
    (warning,) = texts(case.judge_input(), "warning")
    assert "a RESTART is rounded" in warning
    assert ALL_DIGITS in warning


def test_seventeen_digits_bring_a_double_back(case, texts):
    case.replace(case.input, ALL_DIGITS, "floatformat='%24.16e'")
    assert texts(case.judge_input(), "warning") == []


@pytest.mark.parametrize(("energy", "n_warnings"), [(-9999.0, 0), (-10_001.0, 1), (-12.0, 0)])
def test_nine_digits_are_enough_up_to_ten_thousand_electronvolt(energy, n_warnings):
    assert len(list(check_energy(energy * EV, "%16.8e", "potential"))) == n_warnings
