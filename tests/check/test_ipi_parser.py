import numpy as np
import pytest

from mlobs_client.check.ipi_parser import parse_with_ipi
from mlobs_client.errors import ConfigError
from mlobs_client.units import ANGSTROM


def test_ipi_tells_the_atoms_and_the_lattice_vectors_as_rows(case):
    parsed = parse_with_ipi(case.input)
    assert parsed.names == ("O", "H", "H")
    assert parsed.n_beads == 4
    # i-PI's own factors differ from CODATA's in the ninth digit
    rows = [[20, 0, 0], [3, 21, 0], [-2, 4, 22]]
    np.testing.assert_allclose(parsed.cell / ANGSTROM, rows, atol=1e-6)
    np.testing.assert_allclose(parsed.positions[2] / ANGSTROM, [-0.757, 0.586, 0.1], atol=1e-6)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("units='femtosecond'", "units='furlong'", "furlong"),
        ("init.xyz", "gone.xyz", "gone.xyz"),
    ],
)
def test_what_ipi_refuses_is_an_error_in_its_words(case, old, new, said):
    case.replace(case.input, old, new)
    with pytest.raises(ConfigError, match=r"input\.xml: i-PI") as caught:
        parse_with_ipi(case.input)
    assert said in str(caught.value)


def test_a_tag_that_is_not_closed_is_named_with_its_line(case):
    case.replace(case.input, "<total_steps>", "<total_stebs>")
    with pytest.raises(
        ConfigError, match=r"input\.xml: cannot be read as XML: mismatched tag: line"
    ):
        parse_with_ipi(case.input)


def test_reading_leaves_no_file_behind(case):
    before = sorted(case.folder.iterdir())
    parse_with_ipi(case.input)
    assert sorted(case.folder.iterdir()) == before
