"""What an ``<ff...>`` says, and which extras i-PI makes of its clients'."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from mlobs_client.ipi.forcefields import (
    Forcefield,
    find_parent,
    read_forcefields,
)

COMMITTEE = """<simulation><ffcommittee name='all'>{baseline}
<ffsocket name='a'/><ffsocket name='b' mode='unix'/></ffcommittee><ffdebye name='d'/></simulation>
"""


def read(xml: str) -> tuple[Forcefield, ...]:
    return read_forcefields(ET.fromstring(xml))


def test_what_is_not_written_has_the_defaults_of_ipi() -> None:
    (found,) = read("<simulation><ffsocket/></simulation>")
    # ipi/inputs/forcefields.py: InputFFSocket
    assert found == Forcefield("ffsocket", "", None, "inet", "localhost", 65535, 1, "auto")


def test_what_is_written_is_read_without_the_blanks_around_it() -> None:
    (found,) = read(
        "<simulation><ffsocket name=' a ' mode=' unix ' pbc=' TRUE ' matching=' lock '>"
        "<address> here </address><port> 31 </port><batch_size> 4 </batch_size></ffsocket>"
        "</simulation>"
    )
    assert found == Forcefield("ffsocket", "a", True, "unix", "here", 31, 4, "lock")


def test_a_number_that_is_none_is_refused_with_what_stands_there() -> None:
    with pytest.raises(ValueError, match="'many'"):
        read("<simulation><ffsocket><port> many </port></ffsocket></simulation>")


def test_forcefields_inside_of_others_are_read_and_know_their_parent() -> None:
    found = read(COMMITTEE.format(baseline=""))
    assert [one.name for one in found] == ["all", "a", "b", "d"]
    assert found[0].members == ("a", "b")
    assert find_parent("b", found) == found[0]
    assert find_parent("d", found) is None


def test_a_committee_passes_on_the_extras_of_its_last_member_beside_its_own() -> None:
    committee = read(COMMITTEE.format(baseline=""))[0]
    own = {f"committee_{name}" for name in ("pot", "uncertainty", "force", "virial")}
    sent = {"a": frozenset({"x"}), "b": frozenset({"dipole"})}
    assert committee.extras(sent) == own | {"committee_dipole"}
    assert committee.extras({"a": frozenset()}) is None  # nobody knows what b sends


def test_the_baseline_of_a_committee_is_no_member_of_it() -> None:
    committee = read(COMMITTEE.format(baseline="<baseline_name> b </baseline_name>"))[0]
    sent = {"a": frozenset({"dipole"}), "b": frozenset({"charge"})}
    found = committee.extras(sent)
    assert found is not None
    assert {"committee_dipole", "baseline_pot", "wb_mixing"} <= found
    assert "committee_charge" not in found


def test_rotations_pass_on_what_is_inside_and_plumed_what_it_is_asked_for() -> None:
    rotated, inside, plumed = read(
        "<simulation><ffrotations name='r'><ffsocket name='a'/></ffrotations>"
        "<ffplumed name='p'><plumed_extras> [ cv, 'bias' ] </plumed_extras></ffplumed>"
        "</simulation>"
    )
    assert rotated.extras({"a": frozenset({"dipole"})}) == {"dipole", "o3grid_pots"}
    assert rotated.extras({}) is None
    assert plumed.extras({}) == {"cv", "bias"} == plumed.made
    assert (inside.can_send, rotated.can_send, plumed.can_send) == (True, False, False)


def test_a_potential_of_ipi_itself_sends_nothing_and_an_unknown_client_anything() -> None:
    inside, socket = read("<simulation><fflj name='lj'/><ffsocket name='a'/></simulation>")
    assert inside.extras({}) == frozenset()
    assert socket.extras({}) is None


@pytest.mark.parametrize(
    ("inside", "n_photons"),
    [
        ("", 0),
        ("<apply_photon> True </apply_photon>", 2),  # along x and along y
        ("<apply_photon> True </apply_photon><ph_rep> dense </ph_rep>", 1),
        ("<apply_photon> False </apply_photon><ph_rep> dense </ph_rep>", 0),
    ],
)
def test_photons_are_counted_as_ipi_does(inside: str, n_photons: int) -> None:
    (found,) = read(f"<simulation><ffcavphsocket>{inside}</ffcavphsocket></simulation>")
    assert found.n_photons == n_photons
