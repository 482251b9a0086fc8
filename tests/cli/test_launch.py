"""``mlobs launch``: the script that it writes, and when it writes none."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlobs_client.cli.init import copy_kind
from mlobs_client.cli.launch import command
from mlobs_client.errors import ConfigError, LaunchError


def asked(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    copy_kind("water-nve", tmp_path)
    return tmp_path


def test_the_command_writes_a_script_that_bash_can_read(folder: Path) -> None:
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files, "-n", "3"])
    assert result.exit_code == 0, result.output
    path = folder / "input.sh"
    assert result.output == f"{path}: submit it with: cd {folder}; sbatch input.sh\n"
    subprocess.run(["bash", "-n", path], check=True)
    assert "--cpus-per-task=4" in asked(path.read_text())  # i-PI and three clients
    (line,) = [line for line in path.read_text().splitlines() if line.endswith("&")]
    words = ["run", "input.xml", "client.toml", "-n", "3", "--resume", "&"]
    assert shlex.split(line)[-7:] == words


def test_on_several_nodes_there_is_a_task_for_ipi_and_for_each_client(folder: Path) -> None:
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    options = ["--nodes", "3", "--gpus", "4", "-n", "12", "--listen", "ib0.node", "--print"]
    result = CliRunner().invoke(command, [*files, *options])
    assert result.exit_code == 0, result.output
    wanted = {"--nodes=3", "--ntasks=13", "--cpus-per-task=1", "--gpus-per-node=4", "--no-kill"}
    assert wanted <= set(asked(result.output))
    (line,) = [line for line in result.output.splitlines() if line.endswith("&")]
    assert shlex.split(line)[-5:] == ["--resume", "--srun", "--listen", "ib0.node", "&"]


def test_a_program_of_others_has_a_core_and_its_line_is_said_as_it_was_given(folder: Path) -> None:
    socket = "<ffsocket name='springs' mode='unix'> <address> springs </address> </ffsocket>"
    text = (folder / "input.xml").read_text()
    (folder / "input.xml").write_text(text.replace("<system>", f"{socket} <system>", 1))
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    line = "sleep '1 0' {springs}"
    result = CliRunner().invoke(command, [*files, "--driver", line, "--print"])
    assert result.exit_code == 0, result.output
    assert "--cpus-per-task=3" in asked(result.output)
    (said,) = [line for line in result.output.splitlines() if line.endswith("&")]
    assert shlex.split(said)[-3:] == ["--driver", line, "&"]
    result = CliRunner().invoke(command, [*files, "--print"])
    assert "no client would serve <ffsocket name='springs'>" in str(result.exception)


def test_options_of_the_command_line_take_precedence_over_the_site_file(folder: Path) -> None:
    site = folder / "site.toml"
    site.write_text('partition = "gpu"\ngpu = "a100"\nwalltime = "48:00:00"\n')
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    arguments = [*files, "--no-check", "--site", str(site), "--print"]
    result = CliRunner().invoke(command, [*arguments, "--gpus", "2"])
    wanted = {"--partition=gpu", "--gpus-per-node=a100:2", "--time=48:00:00"}
    assert wanted <= set(asked(result.output))
    options = ["--gpus", "v100:4", "--time", "10", "--sbatch=--partition=debug"]
    result = CliRunner().invoke(command, [*arguments, *options])
    wanted = {"--partition=debug", "--gpus-per-node=v100:4", "--time=00:10:00"}
    assert wanted <= set(asked(result.output))
    assert "--partition=gpu" not in asked(result.output)


@pytest.mark.parametrize("gpus", ["a100", "a100:", ":4", "a b:4", "-1"])
def test_what_is_no_number_of_gpus_is_refused(folder: Path, gpus: str) -> None:
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files, f"--gpus={gpus}"])
    assert "write a number, or a type and a number, as in a100:4" in result.output


def test_several_nodes_need_slurm(folder: Path) -> None:
    (folder / "site.toml").write_text('scheduler = "pbs"\n')
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    arguments = [*files, "--site", str(folder / "site.toml"), "--nodes", "2", "--no-check"]
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ConfigError)
    assert "--nodes 2: clients on several nodes are started by srun" in str(result.exception)


def test_a_folder_that_cannot_be_written_is_one_line(folder: Path) -> None:
    path = folder / "input.sh"
    path.mkdir()
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files])
    assert isinstance(result.exception, LaunchError)
    assert f"{path}: cannot be written: Is a directory" in str(result.exception)


def test_a_script_that_the_user_has_changed_is_not_overwritten(folder: Path) -> None:
    arguments = [*(str(folder / name) for name in ("input.xml", "client.toml"))]
    for _ in range(2):
        assert CliRunner().invoke(command, arguments).exit_code == 0
    path = folder / "input.sh"
    changed = path.read_text() + "# mine\n"
    path.write_text(changed)
    result = CliRunner().invoke(command, arguments)
    assert isinstance(result.exception, ConfigError)
    assert "submit it as it is" in str(result.exception)
    assert path.read_text() == changed


def test_printing_writes_nothing(folder: Path) -> None:
    before = sorted(folder.iterdir())
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files, "--print"])
    assert result.exit_code == 0, result.output
    assert result.output.startswith(f"#!/bin/bash\n#SBATCH --job-name={folder.name}\n")
    assert sorted(folder.iterdir()) == before


def test_mistakes_in_the_files_are_found_before_the_queue(folder: Path) -> None:
    client = folder / "client.toml"
    client.write_text(client.read_text().replace('address = "water-nve"', 'address = "water"'))
    files = [str(folder / name) for name in ("input.xml", "client.toml")]
    result = CliRunner().invoke(command, [*files])
    assert result.exit_code == 1
    assert isinstance(result.exception, ConfigError)
    assert not (folder / "input.sh").exists()
