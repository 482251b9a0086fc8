import socket
import tempfile

import pytest

from mlobs_client.check.inputs import LONGEST_PATH


def test_a_right_input_has_no_errors_and_no_warnings(case, texts):
    findings = case.judge_input()
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_a_force_that_names_no_forcefield_is_an_error_that_lists_those_there(case, texts):
    case.replace(case.input, "<force forcefield='mlobs'/>", "<force forcefield='mlops'/>")
    (error,) = texts(case.judge_input(), "error")
    assert "'mlops'" in error
    assert "'mlobs'" in error


def test_no_force_at_all_is_an_error(case, texts):
    case.replace(case.input, "<force forcefield='mlobs'/>", "")
    assert "nothing moves the atoms" in texts(case.judge_input(), "error")[0]


def test_two_forcefields_with_one_name_or_one_address_are_errors(case, texts):
    second = "<ffsocket name='mlobs' mode='unix'> <address> tiny </address> </ffsocket>"
    case.replace(case.input, "  <system>", f"{second}\n  <system>")
    names, places = texts(case.judge_input(), "error")
    assert "two forcefields are called 'mlobs'" in names
    assert "are both at tiny" in places


@pytest.mark.parametrize("name", ["dipole", "Efield{v/ang}", "interaction_energy"])
def test_properties_of_driven_dynamics_are_errors_elsewhere(case, texts, name):
    case.replace(case.input, "potential ]", f"potential, {name} ]")
    (error,) = texts(case.judge_input(), "error")
    assert name.split("{")[0] in error
    assert "filename='out'" in error


def test_the_same_properties_are_right_with_driven_dynamics(case, texts):
    case.replace(case.input, "potential ]", "potential, dipole ]")
    text = case.input.read_text().replace("mode='dynamics'", "mode='driven_dynamics'")
    case.input.write_text(text)
    assert texts(case.judge_input(), "error") == []


def test_a_weight_of_zero_is_a_warning(case, texts):
    case.replace(case.input, "forcefield='mlobs'/>", "forcefield='mlobs' weight='0.0'/>")
    assert "weight='0'" in texts(case.judge_input(), "warning")[0]


def test_a_run_that_is_at_its_end_is_an_error(case, texts):
    case.replace(case.input, "<total_steps>", "<step> 10 </step> <total_steps>")
    assert "raise <total_steps>" in texts(case.judge_input(), "error")[0]


def test_a_socket_through_shared_memory_is_a_warning(case, texts):
    case.replace(case.input, "mode='unix' pbc", "mode='shm' pbc")
    assert "mode='unix'" in texts(case.judge_input(), "warning")[0]


def test_a_batch_that_is_never_full_is_a_warning(case, texts):
    case.replace(case.input, "</address>", "</address> <batch_size> 6 </batch_size>")
    assert "at most 4" in texts(case.judge_all(), "warning")[0]


@pytest.mark.parametrize("written", ["%d %d", "many", "%q"])
def test_a_format_that_is_none_is_an_error(case, texts, written):
    case.replace(case.input, "floatformat='%25.17e'", f"floatformat='{written}'")
    (error,) = [e for e in texts(case.judge_all(), "error") if "floatformat" in e]
    assert f"floatformat='{written}'" in error


def test_a_component_of_weight_zero_that_an_output_shows_is_right(case, texts):
    case.replace(case.input, "forcefield='mlobs'/>", "forcefield='mlobs' weight='0.0'/>")
    (warning,) = texts(case.judge_input(), "warning")
    assert "write pot_component_raw(0) into <properties>" in warning
    case.replace(case.input, "potential ]", "potential, pot_component_raw(0) ]")
    assert texts(case.judge_input(), "warning") == []


@pytest.mark.parametrize(("length", "level"), [(99, "error"), (98, "warning"), (80, "warning")])
def test_an_address_of_a_socket_has_the_length_that_is_advised(case, texts, length, level):
    case.replace(case.input, "> tiny <", f"> {'a' * length} <")
    (said,) = texts(case.judge_input(), level)
    assert f"has {length} characters" in said
    assert "at most 79 characters" in said
    case.replace(case.input, "a" * length, "a" * 79)
    findings = case.judge_input()
    assert texts(findings, "error") == texts(findings, "warning") == []


def test_the_longest_addresses_that_are_advised_can_be_opened():
    with socket.socket(socket.AF_UNIX) as probe, tempfile.TemporaryDirectory(dir="/tmp") as folder:
        longest = f"{folder}/".ljust(LONGEST_PATH, "a")
        probe.bind(longest)
        with pytest.raises(OSError, match="too long"):
            probe.bind(f"{longest}a")
