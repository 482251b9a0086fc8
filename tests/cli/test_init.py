from __future__ import annotations

import tomllib
from pathlib import Path

import ase.io
import pytest
from ase.build import molecule
from click.testing import CliRunner

from mlobs_client.cli import group
from mlobs_client.cli.init import STRUCTURES, command, find_kinds
from mlobs_client.errors import ConfigError

EMT = "ase.calculators.emt.EMT"
POTENTIAL = "bundled:water/potential-0"
NO_MODELS = {"water-nve": [], "slab": ["--no-models"]}


def invoke(*arguments: str | Path):
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_without_a_kind_all_kinds_are_listed_with_their_purpose():
    said = invoke().output
    assert {"water-nve", "water-trpmd-field", "field-alone", "ffdirect"} <= set(find_kinds())
    for kind, purpose in {**STRUCTURES, **find_kinds()}.items():
        assert len(purpose) > 10
        assert f"{kind:20s} {purpose}" in said


def test_a_kind_is_written_complete(tmp_path: Path):
    result = invoke("water-nve", str(tmp_path / "new" / "run"))
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "new" / "run").iterdir())
    assert names == ["client.toml", "init.xyz", "input.xml"]


def test_a_plug_in_is_written_as_a_file_of_its_own(tmp_path: Path):
    assert invoke("ffdirect", str(tmp_path)).exit_code == 0
    plug_in = tmp_path / "mlobs_pes.py"
    assert not plug_in.is_symlink()
    assert "class MlobsDriver" in plug_in.read_text()


def test_nothing_is_overwritten_and_nothing_is_half_written(tmp_path: Path):
    (tmp_path / "init.xyz").write_text("mine")
    result = invoke("water-nve", str(tmp_path))
    assert isinstance(result.exception, ConfigError)
    assert "init.xyz" in str(result.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["init.xyz"]
    assert (tmp_path / "init.xyz").read_text() == "mine"


def test_an_unknown_kind_is_an_error_that_lists_the_known_ones(tmp_path: Path):
    result = invoke("water-nev", str(tmp_path))
    assert isinstance(result.exception, ConfigError)
    assert "'water-nev'" in str(result.exception)
    assert "water-nve" in str(result.exception)


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="give another folder"):
        raise invoke("water-nve", str(tmp_path / "file" / "run")).exception


def test_ctrl_c_has_its_own_status(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(**arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "callback", interrupted)
    done = CliRunner().invoke(group, ["init", "water-nvt", str(tmp_path / "new")])
    assert done.exit_code == 130
    assert "interrupted" in done.output


def test_files_are_replaced_only_if_that_is_said(
    tmp_path: Path, checks_in_one_process: None
) -> None:
    for kind in ("water-nve", "slab"):
        (tmp_path / "client.toml").write_text("mine")
        assert isinstance(invoke(kind, tmp_path).exception, ConfigError)
        assert (tmp_path / "client.toml").read_text() == "mine"
        assert invoke(kind, tmp_path, "--overwrite", *NO_MODELS[kind]).exit_code == 0
        assert (tmp_path / "client.toml").read_text() != "mine"


def test_the_structure_itself_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "init.xyz"
    ase.io.write(path, molecule("H2O"))
    before = path.read_text()
    said = invoke(tmp_path, "--structure", path, "--calculator", EMT, "--overwrite")
    assert "is the structure itself and stays" in str(said.exception)
    assert path.read_text() == before


def test_the_kind_may_be_left_out_with_a_structure(
    tmp_path: Path, checks_in_one_process: None
) -> None:
    path = tmp_path / "two.traj"
    ase.io.write(path, [molecule("CO2"), molecule("H2O", vacuum=5.0)])
    said = invoke(tmp_path / "run", "--structure", path, "--calculator", EMT, "--no-models")
    assert said.exit_code == 0, said.output
    assert f"{path} has 2 structures; the last one is taken." in said.output
    assert f"wrote client.toml, init.xyz, input.xml to {tmp_path / 'run'}" in said.output


WRONG = {
    "there is no structure; give --structure FILE": ["--calculator", EMT],
    "a structure needs a potential; give --model FILE": ["run", "--structure", "H2O.xyz"],
    "'slba'; use one of molecule, crystal, slab, liquid": ["slba", "run", "--structure", "H2O.xyz"],
    "water-nvt is copied as it is, without options": ["water-nvt", "run", "--beads", "4"],
    "quote a pattern": ["slab", "H2O.xyz"],
    "are two potentials": ["slab", "run", "--model", "a", "--calculator", EMT],
    "--parameter belongs to --calculator": ["slab", "run", "--parameter", "a=1"],
    "are those of a --dipole": ["slab", "run", "--oxidation-numbers", "Cu=1"],
    "add --dipole FILE": ["slab", "run", "--field", "0", "0", "0.1"],
    "--structure no.xyz does not exist": ["run", "--structure", "no.xyz", "--calculator", EMT],
}


@pytest.mark.parametrize("text", WRONG)
def test_choices_that_do_not_fit_are_one_line_and_nothing_is_written(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ase.io.write("H2O.xyz", molecule("H2O"))
    said = invoke(*WRONG[text])
    assert isinstance(said.exception, ConfigError)
    assert text in str(said.exception)
    assert [path.name for path in tmp_path.iterdir()] == ["H2O.xyz"]


def test_an_error_of_the_check_leaves_nothing_behind(
    tmp_path: Path, checks_in_one_process: None
) -> None:
    said = invoke("crystal", tmp_path / "run", "--model", POTENTIAL)
    assert isinstance(said.exception, ConfigError)
    assert "nothing was written" in str(said.exception)
    assert "the energy models know H, O, not Cu" in str(said.exception)
    assert not (tmp_path / "run").exists()


def test_parameters_of_a_calculator_are_written_with_their_types(
    tmp_path: Path, checks_in_one_process: None
) -> None:
    lennard_jones = ["--calculator", "ase.calculators.lj.LennardJones"]
    parameters = ["--parameter", "sigma=2.3", "--parameter", "smooth=true"]
    said = invoke("crystal", tmp_path, *lennard_jones, *parameters, "--no-models")
    assert said.exit_code == 0, said.output
    client = tomllib.loads((tmp_path / "client.toml").read_text())
    assert client["potential"]["parameters"] == {"sigma": 2.3, "smooth": True}


@pytest.mark.parametrize("word", ["sigma", "=3", "a b=3"])
def test_a_parameter_without_name_or_value_is_wrong_usage(word: str, tmp_path: Path) -> None:
    assert "is no NAME=VALUE" in invoke("crystal", tmp_path, "--parameter", word).output
