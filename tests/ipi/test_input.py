import re

import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.ipi.asked_outputs import PropertiesOutput, TrajectoryOutput
from mlobs_client.ipi.input import Force, read


def test_what_the_xml_says_is_read(case):
    ipi = read(case.input)
    (socket,) = ipi.sockets
    assert (socket.name, socket.mode, socket.address, socket.pbc) == (
        "mlobs",
        "unix",
        "tiny",
        False,
    )
    assert (ipi.step, ipi.total_steps, ipi.timestep) == (0, 10, ("0.25", "femtosecond"))
    assert ipi.temperature == ("300", "kelvin")
    assert ipi.properties == (PropertiesOutput("out", 2, ("step", "temperature", "potential")),)
    assert ipi.trajectories == (TrajectoryOutput("dipole", 2, "extras", ("dipole",)),)
    assert ipi.forces == (Force("mlobs", 1.0, 0, (), False),)
    assert ipi.file("out") == case.folder / "simulation.out"


def test_units_and_arguments_do_not_belong_to_the_name_of_a_property(case):
    case.replace(case.input, "potential ]", "pot_component{eV}(0), atom_x{angstrom}(atom=1) ]")
    names = read(case.input).properties[0].names
    assert names == ("step", "temperature", "pot_component", "atom_x")


@pytest.mark.parametrize(
    ("tag", "text"),
    [("timestep", "-0.5"), ("timestep", "0"), ("temperature", "nan"), ("temperature", "warm"),
     ("total_steps", "abc"), ("total_steps", "inf")],
)  # fmt: skip
def test_impossible_numbers_are_refused_by_the_name_of_their_tag(case, tag, text):
    xml = case.input.read_text()
    case.input.write_text(re.sub(rf"(<{tag}[^>]*>)[^<]*<", rf"\g<1> {text} <", xml))
    with pytest.raises(ConfigError, match=rf"<{tag}> is '?{text}"):
        read(case.input)


def test_blanks_around_attributes_change_nothing(case):
    case.replace(case.input, "mode='nve'", "mode=' npt '")
    case.replace(case.input, "prefix='simulation'", "prefix=' simulation '")
    case.replace(case.input, "units='femtosecond'", "units=' femtosecond '")
    ipi = read(case.input)
    assert ipi.barostatted == ["npt"]
    assert ipi.file("out") == case.folder / "simulation.out"
    assert ipi.timestep == ("0.25", "femtosecond")


def test_checkpoints_are_found(case):
    assert read(case.input).checkpoints == ()
    case.replace(case.input, "</output>", "<checkpoint/> <checkpoint filename='chk'/> </output>")
    assert read(case.input).checkpoints == ("restart", "chk")


def test_several_extras_in_one_file_are_told_apart(case):
    case.replace(case.input, "extra_type='dipole'", "extra_type='dipole, energy_spread'")
    assert read(case.input).trajectories[0].extras == ("dipole", "energy_spread")


def test_a_biasing_force_is_told_from_others(case):
    case.replace(case.input, "<ensemble>", "<ensemble> <bias> <force forcefield='x'/> </bias>")
    assert [force.biases for force in read(case.input).forces] == [False, True]


def test_beads_of_an_input_and_of_a_restart_are_read(case):
    assert read(case.input).n_beads == 4
    text = case.input.read_text()
    case.input.write_text(text.replace("<ensemble>", "<beads natoms='3' nbeads='8'/> <ensemble>"))
    assert read(case.input).n_beads == 8


@pytest.mark.parametrize(
    ("old", "new", "inner"),
    [
        ("<timestep", "<nmts> [1] </nmts> <timestep", False),
        ("<timestep", "<nmts shape='(2)'> [ 1, 4 ] </nmts> <timestep", True),
        ("<timestep", "<nmts> [ 4 ] </nmts> <timestep", True),
        ("'mlobs'/>", "'mlobs'><mts_weights> [1] </mts_weights></force>", False),
        ("'mlobs'/>", "'mlobs'><mts_weights> [0, 1] </mts_weights></force>", True),
    ],
)
def test_multiple_time_steps_are_told_from_one_level_of_one_step(case, old, new, inner):
    case.replace(case.input, old, new)
    assert read(case.input).has_multiple_time_steps is inner


def test_systems_and_super_motions_are_seen(case):
    ipi = read(case.input)
    assert (ipi.n_systems, ipi.super_motion) == (1, "dummy")
    case.replace(case.input, "</system>", "</system> <system/> <smotion mode='remd'/>")
    ipi = read(case.input)
    assert (ipi.n_systems, ipi.super_motion) == (2, "remd")
    case.replace(case.input, "<system/>", "<system_template/>")
    assert read(case.input).n_systems == 0


def test_a_template_of_systems_is_read_with_its_first_instance(case):
    text = case.input.read_text()
    begin, end = text.index("<system>"), text.index("</system>") + len("</system>")
    system = text[begin:end].replace("> 300 <", "> T <").replace("> 0.25 <", "> T1 <")
    template = (
        "<system_template> <labels> [ T, T1 ] </labels> <instance> [ 280, 0.5 ] </instance>"
        f"<instance> [ 300, 1.0 ] </instance> <template> {system} </template> </system_template>"
    )
    case.input.write_text(text[:begin] + template + text[end:])
    assert read(case.input).timestep == ("0.5", "femtosecond")
    assert [force.forcefield for force in read(case.input).forces] == ["mlobs"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "mlobs init"),
        ("<simulation>", "cannot be read as XML"),
        ("<input></input>", "<input>"),
        ("<simulation><total_steps> ten </total_steps></simulation>", "'ten'"),
    ],
)
def test_a_file_that_is_no_input_is_an_error_that_says_why(tmp_path, text, said):
    path = tmp_path / "input.xml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(ConfigError, match=r"input\.xml") as caught:
        read(path)
    assert said in str(caught.value)


def test_all_systems_of_a_template_have_prefixes_and_the_first_fills_attributes(case):
    text = case.input.read_text()
    begin, end = text.index("<system>"), text.index("</system>") + len("</system>")
    system = text[begin:end].replace("<system>", "<system prefix='I'>")
    system = system.replace("'mlobs'/>", "'mlobs' weight='W'/>")
    template = (
        "<system_template> <labels> [ I, W ] </labels> <instance> [ a, 0.5 ] </instance>"
        f"<instance> [ b, 1.0 ] </instance> <template> {system} </template> </system_template>"
    )
    case.input.write_text(text[:begin] + template + text[end:])
    assert read(case.input).system_prefixes == ("a", "b")
    assert read(case.input).forces[0].weight == 0.5
