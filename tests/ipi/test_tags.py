"""What stands in tags is what i-PI takes it for."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mlobs_client.errors import RecordError
from mlobs_client.ipi.tags import (
    NumberWithUnit,
    array_of,
    attribute_of,
    checkpoint_names,
    count_beads,
    find_output,
    is_true,
    list_of,
    quantity_of,
    split_list,
    text_of,
)


@pytest.mark.parametrize(
    "text", ["[ a, b ]", "[a,b]", " \n[ 'a',\t\"b\" ]\n", "a, b", "[ a, b, ]", "['a', , 'b']"]
)
def test_lists_are_split_with_quotes_and_without(text: str) -> None:
    assert split_list(text) == ("a", "b")


def test_an_empty_list_has_no_names() -> None:
    assert split_list(" [ ] ") == split_list("") == ()


@pytest.mark.parametrize("text", ["true", "True", " TRUE\n", "false", " False ", "FALSE"])
def test_true_and_false_are_what_ipi_takes_them_for(text: str) -> None:
    from ipi.utils.io.inputs.io_xml import read_bool

    assert is_true(text) is read_bool(text)


def test_a_tag_that_is_missing_or_empty_has_the_default() -> None:
    parent = ET.fromstring("<a><empty/><full> x </full></a>")
    assert [text_of(parent, tag, "0") for tag in ("gone", "empty", "full")] == ["0", "0", "x"]


def test_a_tag_that_is_not_there_has_an_empty_list_and_no_quantity() -> None:
    assert list_of(None) == ()
    assert array_of(None).shape == (0,)
    assert quantity_of(None) is None
    assert quantity_of(ET.fromstring("<temperature> </temperature>")) is None


def test_a_list_of_numbers_is_read_and_another_word_is_refused() -> None:
    assert array_of(ET.fromstring("<m> [ 1.5, 2e3 ] </m>")).tolist() == [1.5, 2000.0]
    with pytest.raises(ValueError, match="'heavy'"):
        array_of(ET.fromstring("<m> [ 1.5, heavy ] </m>"))


def test_a_quantity_is_in_the_unit_that_is_written_or_in_atomic_units() -> None:
    kelvin = quantity_of(ET.fromstring("<temperature units='kelvin'> 300 </temperature>"))
    assert kelvin == ("300", "kelvin")
    # k = 3.1668116e-6 Eh/K; that of i-PI is of an older CODATA
    assert kelvin.in_atomic_units("temperature", "a.xml") == pytest.approx(9.5004347e-4, rel=5e-6)
    bare = quantity_of(ET.fromstring("<temperature> 0.5 </temperature>"))
    assert bare is not None
    assert bare.in_atomic_units("temperature", "a.xml") == 0.5
    with pytest.raises(RecordError, match=r"a\.xml: unknown unit 'metre' of temperature"):
        NumberWithUnit("300", "metre").in_atomic_units("temperature", "a.xml")


def test_checkpoints_have_the_name_of_ipi_where_none_is_written() -> None:
    root = ET.fromstring(
        "<simulation><output><checkpoint/><checkpoint filename=' chk '/></output></simulation>"
    )
    assert checkpoint_names(find_output(root)) == ("restart", "chk")
    assert checkpoint_names(find_output(ET.fromstring("<simulation/>"))) == ()


@pytest.mark.parametrize(
    ("inside", "n_beads"),
    [
        ("", 1),
        ("<initialize nbeads=' 4 '/>", 4),
        ("<initialize/>", 1),
        ("<initialize nbeads='4'/><beads nbeads='8'/>", 8),
    ],
)
def test_beads_that_are_there_count_before_those_that_are_to_be_made(
    inside: str, n_beads: int
) -> None:
    assert count_beads(ET.fromstring(f"<system>{inside}</system>")) == n_beads


@pytest.mark.parametrize("written", ["npt", " npt ", "\tnpt"])
def test_an_attribute_has_no_blanks_around_it_as_for_ipi(written: str) -> None:
    from ipi.utils.io.inputs.io_xml import read_type

    tag = ET.fromstring(f"<dynamics mode='{written}'/>")
    assert attribute_of(tag, "mode", "nve") == read_type(str, written) == "npt"
    assert attribute_of(tag, "name", "nve") == "nve"
