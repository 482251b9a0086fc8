"""The site file: where it is, and what is refused in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.launch.schedulers import PBS, SLURM
from mlobs_client.launch.site import Site, read_site


def read(folder: Path, text: str) -> Site:
    (folder / "site.toml").write_text(text)
    return read_site(folder / "site.toml")


def test_it_is_read_from_the_folder_of_settings_unless_another_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert read_site(None) == Site()
    (tmp_path / "mlobs").mkdir()
    read(tmp_path / "mlobs", 'account = "mine"')
    assert read_site(None).account == "mine"
    assert read(tmp_path, 'account = "ours"').account == "ours"


def test_without_xdg_config_home_it_is_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".config" / "mlobs").mkdir(parents=True)
    read(tmp_path / ".config" / "mlobs", 'partition = "gpu"')
    assert read_site(None).partition == "gpu"


def test_a_file_that_is_named_must_exist(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none\.toml: no such site file; without --site, .*mlobs"
    ):
        read_site(tmp_path / "none.toml")


def test_jobs_requeue_themselves_unless_the_site_or_pbs_cannot(tmp_path: Path) -> None:
    assert (Site().commands, Site().requeues) == (SLURM, True)
    assert not read(tmp_path, 'continuation = "chain"').requeues
    pbs = read(tmp_path, 'scheduler = "pbs"')
    assert (pbs.commands, pbs.requeues) == (PBS, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("partiton = 'x'", "unknown setting 'partiton'; did you mean 'partition'?"),
        (
            "nonsense = 'x'",
            "unknown setting 'nonsense'; use one of account, before, continuation, gpu, mail, "
            "memory, modules, options, partition, scheduler, walltime",
        ),
        ("scheduler = 'lsf'", "scheduler = 'lsf': Input should be 'slurm' or 'pbs'"),
        ("account = 'a b'", "account = 'a b'"),
        ('account = "a\\n#SBATCH --wrap=x"', "account = 'a\\n#SBATCH --wrap=x'"),
        ("memory = '32'", "memory = '32'"),
        ("modules = 'cuda'", "modules = 'cuda'"),
        ("walltime = '24h'", "walltime = '24h' is not a time limit of Slurm; write hours:min"),
        ("options = ['-p x']", "options: --sbatch '-p x' is not an option of sbatch"),
        ("options = ['--time=5']", "options: --sbatch=--time=5: the job needs its own"),
        (
            "scheduler = 'pbs'\ncontinuation = 'requeue'",
            "continuation = 'requeue' is not possible with scheduler = 'pbs'; write "
            'continuation = "chain", or leave it out',
        ),
    ],
)
def test_a_mistake_is_one_line_that_names_it(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'site.toml'}: ")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
