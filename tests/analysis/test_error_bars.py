"""Printed errors are those of the scatter over repetitions; long: tests/long/validate_errors.py."""

from __future__ import annotations

import pytest
from error_bars import CASES, FEW, Judgement, repeat
from error_bars_spectra import SINGLE

N_REPETITIONS = 60
SLOW = tuple(name for name in CASES if any(one in name for one in ("8000", "10 runs", "400 tau")))
OF_SPECTRA = (
    "peak position, 10 blocks",
    "band integral, 10 blocks",
    "infrared, wing",
    "dielectric loss, Debye, 40 tau, at w tau = 12",
)
SHORT = {name: case for name, case in CASES.items() if name not in SLOW}
SHORT |= {name: SINGLE[name] for name in OF_SPECTRA}


@pytest.mark.parametrize("name", SHORT)
def test_two_of_three_values_lie_within_one_printed_error(name: str) -> None:
    found = repeat(name, SHORT[name], N_REPETITIONS)
    assert found.printed > 0.5
    # 60 repetitions show a share of 0.68 to 0.06, three of which; before, errors that were 2 to
    # 12 times too small or too large gave 0.25 and 1.0
    assert 0.5 < found.within_one < 0.87
    assert found.within_two > (0.75 if name in FEW else 0.83)
    # a mean of 60 squared pulls scatters by 0.2, of ten blocks by 0.3
    assert found.squared_pull < 1.9 or name in FEW
    # the scatter is known to 9 %, the mean error a little better
    assert 0.7 < found.relative_error < (2.0 if name in FEW else 1.45)


def test_an_error_of_half_the_scatter_is_found_out() -> None:
    right = repeat("mean, vibration alone", CASES["mean, vibration alone"], 200)

    def half(random: object) -> tuple[float, float, float]:
        value, error, exact = CASES["mean, vibration alone"](random)  # type: ignore[arg-type]
        return value, 0.5 * error, exact

    wrong = repeat("mean, vibration alone", half, 200)
    assert wrong.within_one < 0.5 < right.within_one
    assert wrong.squared_pull == pytest.approx(4.0 * right.squared_pull)


def test_what_has_no_error_is_counted_and_not_judged() -> None:
    told = Judgement.of([(0.0, float("nan"), 0.0), (1.0, 2.0, 0.0), (-1.0, 2.0, 0.0)])
    assert (told.printed, told.within_one, told.squared_pull) == (pytest.approx(2 / 3), 1.0, 0.25)
