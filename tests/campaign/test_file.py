"""The campaign file: what is accepted, and that every mistake gets one line with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from mlobs_client.campaign.file import Local, Slurm, read_campaign_file
from mlobs_client.errors import ConfigError

GRID = "[parameters]\ntemperature = [280, 300]\n"


def read(folder: Path, text: str):
    path = folder / "campaign.toml"
    path.write_text(text)
    return read_campaign_file(path)


def test_parameters_alone_are_a_campaign_by_its_defaults(tmp_path: Path) -> None:
    table = read(tmp_path, GRID)
    assert table.parameters == {"temperature": (280, 300)}
    assert (table.template, table.clients) == ("template", 1)
    assert table.execution == Local(kind="local", at_once=1, retries=1)


def test_a_job_of_slurm_has_names_of_slurm_and_parsl(tmp_path: Path) -> None:
    text = 'kind = "slurm"\naddress = "n0"\nwalltime = "02:00:00"\noptions = ["--partition=long"]\n'
    execution = read(tmp_path, f"{GRID}[execution]\n{text}").execution
    assert isinstance(execution, Slurm)
    assert (execution.walltime, execution.options) == ("02:00:00", ("--partition=long",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("templat = 'x'\n" + GRID, "unknown setting 'templat'; did you mean 'template'?"),
        ("beside = ['lmp']\n" + GRID, "the setting 'beside' is now called 'drivers'"),
        ("", "give either [parameters], of which all combinations are run, or a list of [[runs]]"),
        (GRID + "[[runs]]\nname = 'a'\n", "give either [parameters]"),
        (
            "after = 'temperatur'\n" + GRID,
            "is not one of [parameters]; did you mean 'temperature'?",
        ),
        ("after = 'a'\n[[runs]]\nname = 'a'\n", 'write after = "NAME" into the [[runs]]'),
        ("clients = -1\n" + GRID, "clients = -1"),
        ("[parameters]\nx = []\n", "x = [] must have values, all different"),
        ("[parameters]\nx = [1, 1]\n", "x = [1, 1] must have values, all different"),
        (
            "[parameters]\nx = [true]\n",
            "True is neither a finite number nor text in",
        ),
        ("[parameters]\nx = [nan]\n", "nan is neither a finite number nor text"),
        ("[parameters]\nstart = [1]\n", "'start' cannot be the name of a parameter"),
        ("[parameters]\n'a b' = [1]\n", "'a b' cannot be the name of a parameter"),
        ("[[runs]]\nname = '../up'\n", "runs.0.name = '../up'"),
        ("[[runs]]\nname = 'a'\naftr = 'b'\n", "did you mean 'after'?"),
        (GRID + "[execution]\nat_once = 2\n", "'kind' is missing in [execution]; write kind"),
        (GRID + "[execution]\nkind = 'local'\nat_onec = 2\n", "did you mean 'at_once'?"),
        (GRID + "[execution]\nkind = 'pbs'\n", "'local', 'slurm', 'parsl'"),
        (GRID + "[execution]\nkind = 'slurm'\n", "the setting 'address' is missing in [execution]"),
        (GRID + "[execution]\nkind = 'slurm'\nwalltime = '2h'\n", "execution.walltime = '2h'"),
        (GRID + "[execution]\nkind = 'slurm'\noptions = ['-p x']\n", "options.0 = '-p x'"),
        (GRID + "[execution]\nkind = 'parsl'\nconfig = 'mine'\n", "execution.config = 'mine'"),
    ],
)
def test_a_mistake_is_one_line_that_names_the_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_missing_is_an_error_that_says_where_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such campaign file; 'mlobs init campaign"):
        read_campaign_file(tmp_path / "campaign.toml")
