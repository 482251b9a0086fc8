from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from mlobs_client.check.capture import Caught, caught
from mlobs_client.cli.check import command, progress_shown
from mlobs_client.cli.init import copy_kind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_kind("water-nve-field", tmp_path)
    client = tmp_path / "client.toml"
    # two members are a committee too, and half the work
    client.write_text(client.read_text().replace("-*", "-[01]*"))
    return tmp_path


def invoke(folder: Path, *options: str):
    files = [str(folder / "input.xml"), str(folder / "client.toml")]
    return CliRunner().invoke(command, [*files, *options])


def test_right_files_with_the_bundled_models_have_no_errors(folder: Path):
    result = invoke(folder)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert said.endswith("no errors")
    for tested in ("d(energy)/d(positions)", "born_charges", "[field]", "quanta"):
        assert tested in said


def test_an_error_is_shown_with_its_remedy_and_exits_one(folder: Path):
    xml = folder / "input.xml"
    xml.write_text(xml.read_text().replace("pbc='False'>", "pbc='True'>"))
    result = invoke(folder, "--no-models")
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "error <ffsocket name='mlobs'> has pbc='True'" in said
    assert "-> write pbc='False' in <ffsocket name='mlobs'>" in said
    assert said.endswith("1 error: do not run this yet")


def test_names_in_brackets_are_shown_as_they_are(folder: Path):
    client = folder / "client.toml"
    client.write_text(client.read_text().replace('address = "water', 'address = "ice'))
    said = " ".join(invoke(folder, "--no-models").output.split())
    assert "[socket] of client.toml is unix" in said


def test_the_number_of_clients_is_that_of_the_run(folder: Path):
    client = folder / "client.toml"
    client.write_text(client.read_text().replace("[observables]", "[observables]\nstride = 2"))
    outputs = [invoke(folder, "--no-models", "-n", n).output for n in ("1", "2")]
    said = [" ".join(output.split()) for output in outputs]
    assert ["2 clients share" in text for text in said] == [False, True]


def test_quiet_shows_only_what_is_wrong(folder: Path):
    result = invoke(folder, "--no-models", "--quiet")
    assert result.output == "no errors\n"


def test_a_terminal_shows_how_far_a_test_is_while_the_output_of_models_is_captured(
    monkeypatch, capfd
):
    monkeypatch.setenv("FORCE_COLOR", "1")  # a terminal for rich
    said = Caught()
    with progress_shown() as say:
        say("comparing", 0, 1)
        with caught(said):
            say("comparing (positions)", 2, 6)
            print("of a model")
        say("comparing", 0, 0)
    shown = capfd.readouterr().err
    assert "2/6" in shown
    assert "comparing (positions)" in shown
    assert said.n_lines == 1


def test_without_a_terminal_each_activity_is_one_line(capfd):
    with progress_shown() as say:
        for progress in ((0, 1), (1, 6), (6, 6), (0, 0)):
            say("comparing", *progress)
    assert capfd.readouterr().err == "... comparing\n"
