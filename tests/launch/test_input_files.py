from pathlib import Path

import pytest

from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.launch.input_files import InputFiles

CLIENT = """structure = "init.xyz"
[potential]
kind = "mace"
models = ["one.model"]
"""


@pytest.fixture
def input_files(tmp_path: Path) -> InputFiles:
    (tmp_path / "client.toml").write_text(CLIENT)
    (tmp_path / "init.xyz").write_text("atoms")
    (tmp_path / "one.model").write_text("network")
    (tmp_path / "calibration.json").write_text("alpha")
    path = tmp_path / "client.toml"
    return InputFiles([ClientFile(path, client_file.load_config(path))])


def test_files_that_are_as_before_are_accepted(input_files, tmp_path):
    input_files.check_unchanged()
    (tmp_path / "one.model").write_text("network")  # copied again
    input_files.check_unchanged()


@pytest.mark.parametrize("name", ["client.toml", "init.xyz", "one.model", "calibration.json"])
def test_another_file_of_the_same_name_is_refused(input_files, tmp_path, name):
    other = tmp_path / "other"
    other.write_text("something else")
    other.replace(tmp_path / name)
    with pytest.raises(LaunchError, match=f"{name} has changed since the start"):
        input_files.check_unchanged()


def test_a_file_that_is_gone_is_refused(input_files, tmp_path):
    (tmp_path / "one.model").unlink()
    with pytest.raises(LaunchError, match=r"one\.model is gone"):
        input_files.check_unchanged()
