"""Units of i-PI's files, against literature values."""

from __future__ import annotations

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.dimensions import factor


@pytest.mark.parametrize(
    ("quantity", "unit", "expected"),
    [
        ("positions", "angstrom", 1.88972612),
        ("positions", "nanometer", 18.8972612),
        ("x_centroid", "atomic_unit", 1.0),
        ("velocities", "m/s", 1 / 2187691.26),
        ("forces", "ev/ang", 1 / 51.4220675),
        ("forces", "piconewton", 1e-12 / 8.2387235e-8),
        ("momenta", "", 1.0),
        ("pressure_md", "megapascal", 1e6 / 2.9421016e13),
        ("kinetic_md", "kelvin", 3.1668116e-6),
        ("time", "femtosecond", 41.3413733),
        ("cell", "ase", 1.88972612),
        ("step", "", 1.0),
    ],
)
def test_factors_are_those_of_the_literature(quantity: str, unit: str, expected: float) -> None:
    # i-PI rounds its factors (kelvin: 1.2e-6 too large); those of pressures are 3e-5 too small
    tolerance = 4e-5 if quantity == "pressure_md" else 2e-6
    assert factor(quantity, unit, "here") == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize(
    ("quantity", "unit"), [("positions", "electronvolt"), ("velocities", "ms"), ("nothing", "bar")]
)
def test_a_unit_of_another_dimension_is_refused_without_a_word_to_the_screen(
    quantity: str, unit: str, capsys
) -> None:
    with pytest.raises(RecordError, match=f"a.xyz:2: unknown unit '{unit}' of {quantity}"):
        factor(quantity, unit, "a.xyz:2")
    assert capsys.readouterr().out == ""
