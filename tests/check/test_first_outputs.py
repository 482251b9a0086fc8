"""What i-PI would refuse when it writes its outputs first, in the i-PI of this process."""

from __future__ import annotations

import contextlib
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ipi_runs import WATER, make_input

from mlobs_client.check.first_outputs import Fault, find_faults

SOCKET = "<ffsocket name='mlobs' mode='unix' pbc='False'> <address> tiny </address> </ffsocket>"


@pytest.fixture(scope="module")
def simulation(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """i-PI's own, of one water molecule with four beads, without outputs."""
    from ipi.engine.simulation import Simulation

    folder: Path = tmp_path_factory.mktemp("first_outputs")
    (folder / "init.xyz").write_text(WATER)
    xml = io.StringIO(make_input("<output/>", SOCKET, beads=4))
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # those of i-PI
        return Simulation.load_from_xml(xml, custom_verbosity="quiet", read_only=True)


def properties(*names: str, filename: str = "out") -> Any:
    from ipi.engine.outputs import PropertyOutput

    return PropertyOutput(filename, outlist=list(names))


def trajectory(what: str, filename: str = "f", **more: Any) -> Any:
    from ipi.engine.outputs import TrajectoryOutput

    return TrajectoryOutput(filename, what=what, **more)


def faults(simulation: Any, *outputs: Any) -> list[Fault]:
    simulation.outtemplate = list(outputs)
    return list(find_faults(simulation))


def test_outputs_that_ipi_writes_have_no_faults(simulation: Any) -> None:
    names = ["atom_x{angstrom}(atom=2; bead=3)", "atom_f(0)", "temperature(atom=H)", "vcom(O)"]
    found = faults(
        simulation,
        properties("step", "potential{electronvolt}", *names, "temperature", "kinetic_cv(2)"),
        trajectory("forces{ev/ang}", "a", format="xyz", ibead=3),
        trajectory("positions{angstrom}", "b", format="pdb"),
        trajectory("extras", "c", extra_type="dipole"),
    )
    assert found == []


@pytest.mark.parametrize(
    ("wrong", "said", "remedy", "right"),
    [
        ("atom_x", "atom '' is not a number", "from 0 to 2", "atom_x(atom=0)"),
        ("atom_x(atom=3)", "no atom 3", "from 0 to 2", "atom_x(atom=2)"),
        ("atom_x(atom=H)", "atom 'H' is not a number", "from 0 to 2", "atom_x(atom=1)"),
        ("temperature(atom=3)", "no atom 3", "from 0 to 2", "temperature(atom=2)"),
        ("atom_x(0; 4)", "no bead 4", "from 0 to 3", "atom_x(0; 3)"),
        ("pot_component(1)", "no force 1", "from 0 to 0", "pot_component(0)"),
        ("pot_component(x)", "force 'x' is not a number", "from 0 to 0", "pot_component(0)"),
        ("pot_component", "missing a required argument", "parentheses: index", "pot_component(0)"),
        ("potential(0; 0; 0; 0; 0)", "too many", "parentheses: atom", "potential"),
        ("potenial", "i-PI has no property 'potenial'", "mean 'potential'?", "potential"),
        ("potential{kelvins}", "cannot be written", "electronvolt", "potential{kelvin}"),
    ],
)
def test_a_property_that_cannot_be_written_is_refused_and_its_remedy_works(
    simulation: Any, wrong: str, said: str, remedy: str, right: str
) -> None:
    ((what, advice, stops),) = faults(simulation, properties(wrong))
    assert said in what
    assert f"{wrong!r} in <properties filename='out'>" in what
    assert remedy in advice
    assert stops
    assert faults(simulation, properties(right)) == []


@pytest.mark.parametrize("name", ["atom_x", "atom_x(atom=3)"])
def test_ipi_itself_stops_at_an_atom_that_is_none(simulation: Any, name: str) -> None:
    assert len(faults(simulation, properties(name))) == 1
    with pytest.raises(IndexError):
        simulation.syslist[0].properties[name]


@pytest.mark.parametrize(
    ("name", "right"),
    [("vcom(D)", "vcom(O)"), ("vcom(0)", "vcom"), ("temperature(atom=D)", "temperature(atom=H)")],
)
@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of i-PI
def test_what_is_of_no_atoms_is_nan_and_said(simulation: Any, name: str, right: str) -> None:
    ((what, advice, stops),) = faults(simulation, properties(name))
    assert "there is no atom labelled" in what
    assert "i-PI stops or writes 0 or NaN" in what
    assert (advice, stops) == ("write one of the labels H, O", False)
    assert np.isnan(simulation.syslist[0].properties[name][0]).all()
    assert faults(simulation, properties(right)) == []


def test_all_that_ipi_does_not_know_is_said_and_not_only_the_first(simulation: Any) -> None:
    found = faults(simulation, properties("step", "potenial", "kinetik_md"), trajectory("posit"))
    assert [what.split()[0] for what, _, _ in found] == ["'potenial'", "'kinetik_md'", "'posit'"]


def test_a_unit_that_ipi_ignores_does_not_stop_it(simulation: Any) -> None:
    ((what, advice, stops),) = faults(simulation, properties("step{picosecond}"))
    assert "step has no unit, and i-PI ignores the given one" in what
    assert (advice, stops) == ("remove it", False)


@pytest.mark.parametrize(
    ("wrong", "said", "right"),
    [
        ({"what": "extrass"}, "i-PI has no trajectory 'extrass'", {"what": "extras"}),
        ({"what": "forces", "ibead": 4}, "no bead 4", {"what": "forces", "ibead": 3}),
        ({"what": "forces{angstrom}"}, "cannot be written", {"what": "forces{ev/ang}"}),
        ({"what": "forces", "format": "pdb"}, "cannot be written", {"what": "forces"}),
        ({"what": "extras_component_raw(1)"}, "no force 1", {"what": "extras_component_raw(0)"}),
    ],
)
def test_a_trajectory_that_cannot_be_written_is_refused_and_its_remedy_works(
    simulation: Any, wrong: dict[str, Any], said: str, right: dict[str, Any]
) -> None:
    ((what, _, stops),) = faults(simulation, trajectory(**{"format": "xyz", **wrong}))
    assert said in what
    assert f"{wrong['what']!r} in <trajectory filename='f'>" in what
    assert stops
    assert faults(simulation, trajectory(**{"format": "xyz", **right})) == []


def test_a_name_of_two_outputs_stops_ipi(simulation: Any) -> None:
    (first, *_) = faults(simulation, properties("step"), trajectory("positions", "out"))
    assert first == (
        "2 outputs have filename='out', which i-PI refuses",
        "give each of <properties>, <trajectory> and <checkpoint> its own filename=",
        True,
    )
    assert faults(simulation, properties("step"), trajectory("positions", "pos")) == []


def test_files_of_one_name_are_moved_away_and_said(simulation: Any) -> None:
    centroid = trajectory("x_centroid", "x", format="xyz")
    ((what, advice, stops),) = faults(simulation, properties("step", filename="x.xyz"), centroid)
    assert "two outputs write the file x.xyz: i-PI renames that of the first to #x.xyz#0#" in what
    assert (advice, stops) == ("give one of them another filename=", False)
    # those of beads have their number
    beads = trajectory("positions", "x", format="xyz")
    assert faults(simulation, properties("step", filename="x.xyz"), beads) == []
    assert len(faults(simulation, properties("step", filename="x_2.xyz"), beads)) == 1


def test_systems_with_one_prefix_are_said(simulation: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (system,) = simulation.syslist
    monkeypatch.setattr(simulation, "syslist", [system, system])
    ((what, advice, stops),) = faults(simulation)
    assert "2 systems have prefix='': their outputs have the same names" in what
    assert (advice, stops) == ("give each <system> its own prefix=", False)
