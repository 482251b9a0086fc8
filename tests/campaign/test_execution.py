"""Campaigns with parsl: its configurations, and runs that need nothing else."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from campaigns import write_campaign

from mlobs_client.campaign.campaign import Campaign, load
from mlobs_client.campaign.execution import Outcomes, _configure, _judge_retries, execute
from mlobs_client.errors import ConfigError, LaunchError
from mlobs_client.locks import hold

SLURM = """kind = "slurm"
address = "localhost"
walltime = "01:00:00"
cores = 4
options = ["--partition=long"]
"""
OWN = """
import parsl
def threads():
    return parsl.Config(executors=[parsl.ThreadPoolExecutor(max_threads=7)])
def nothing():
    return 3
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return write_campaign(tmp_path, seeds=[1])


def with_execution(path: Path, text: str) -> Campaign:
    head = path.read_text().partition("[execution]")[0]
    path.write_text(f"{head}[execution]\n{text}")
    return load(path)


def run(campaign: Campaign) -> Outcomes:
    return execute(campaign, campaign.plan(), [], lambda outcomes: None)


def test_a_run_that_fails_is_tried_again_and_those_after_it_are_not(path: Path) -> None:
    template = path.parent / "template" / "input.xml"
    template.write_text(template.read_text().replace("forcefield='mlobs'", "forcefield='mlops'"))
    campaign = with_execution(path, 'kind = "local"\nretries = 1\n')
    outcomes = run(campaign)
    first, second = campaign.runs.values()
    assert "names no forcefield" in str(outcomes[first.name])
    assert outcomes[second.name] == f"not started, because {first.name} has failed"
    log = (first.folder / "run.log").read_text()
    assert log.count("names no forcefield") == 2
    assert not second.folder.exists()


def test_a_run_that_has_come_farther_is_tried_again_for_nothing(path: Path) -> None:
    campaign = load(path)
    run = next(iter(campaign.runs.values()))
    campaign.template.write(campaign.values(run), run.folder, {})
    cost, record = _judge_retries(campaign), {"args": (str(path), run.name, "", None)}
    costs = []
    for step in (7, 7, 3, 9):
        (run.folder / "simulation.out").write_text(f"# column 1 --> step : The step.\n {step} \n")
        costs.append(cost(LaunchError("no"), record))
    assert costs == [0.0, 1.0, 1.0, 0.0]


def test_what_parsl_says_and_keeps_is_in_a_hidden_folder(
    path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    campaign = load(path)
    for one in campaign.runs.values():
        one.folder.mkdir(parents=True)
        (one.folder / "run.json").write_bytes(one.describe_start(campaign.digest(one))["run.json"])
        (one.folder / "done.json").write_text("{}")
    assert run(campaign) == {}
    assert capfd.readouterr() == ("", "")
    names = sorted(item.name for item in path.parent.iterdir())
    assert names == [".campaign", "campaign.toml", "runs", "template"]


RUN = """#!/bin/bash
echo "$CUDA_VISIBLE_DEVICES" > devices
cp input.xml RESTART
for k in {1..200}; do
    [ "$(ls ../*/devices | wc -l)" = 2 ] && echo finished && exit
    sleep 0.05
done
"""
"""In place of ``mlobs run``: ends when both runs have started."""


@pytest.mark.parametrize(
    ("chosen", "device", "given"),
    [("4,6", "cuda", ["4", "6"]), ("4", "cpu", ["4", "4"]), ("4,6", "cuda:1", ["4,6", "4,6"])],
)
def test_runs_at_the_same_time_share_the_gpus_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chosen: str, device: str, given: list[str]
) -> None:
    path = write_campaign(tmp_path, seeds=[1], after="", at_once=2)
    client = path.parent / "template" / "client.toml"
    potential = f'[potential]\nkind = "mace"\nmodels = ["a.model"]\ndevice = "{device}"\n'
    client.write_text(client.read_text().partition("[potential]")[0] + potential)
    (tmp_path / "python").write_text(RUN)
    (tmp_path / "python").chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", chosen)
    assert set(run(load(path)).values()) == {None}
    found = [file.read_text().strip() for file in (tmp_path / "runs").glob("*/devices")]
    assert sorted(found) == given


def test_two_campaigns_at_once_in_one_folder_are_refused(path: Path) -> None:
    campaign = load(path)
    campaign.hidden.mkdir()
    with (
        hold(campaign.hidden / "lock"),
        pytest.raises(LaunchError, match="another 'mlobs campaign run' is running in"),
    ):
        run(campaign)
    assert not campaign.runs["temperature=280_seed=1"].folder.exists()


def test_a_folder_that_cannot_be_written_is_an_error_that_names_it(path: Path) -> None:
    (path.parent / "runs").write_text("no folder")
    with pytest.raises(LaunchError, match=r"runs cannot be made: File exists"):
        run(load(path))


def test_without_parsl_the_error_says_how_to_install_it(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "parsl", None)
    with pytest.raises(LaunchError, match=r"pip install 'mlobs\[campaign\]'"):
        run(load(path))


def test_jobs_of_slurm_are_asked_for_as_the_file_says(path: Path) -> None:
    (executor,) = _configure(with_execution(path, f"at_once = 3\n{SLURM}")).executors
    assert executor.encrypted
    assert executor.address == "127.0.0.1"  # parsl listens nowhere else
    assert executor.max_workers_per_node == 1
    provider = executor.provider
    assert (provider.walltime, provider.cores_per_node) == ("01:00:00", 4)
    assert (provider.max_blocks, provider.nodes_per_block) == (3, 1)
    assert "#SBATCH --partition=long\n" in provider.scheduler_options
    assert "--exclusive" not in provider.scheduler_options


def test_jobs_of_a_campaign_need_what_the_site_file_says(path: Path, tmp_path: Path) -> None:
    site = tmp_path / "site.toml"
    site.write_text(
        'account = "chem"\npartition = "gpu"\nmemory = "8G"\nwalltime = "2-00"\nmodules = ["gcc"]\n'
        'mail = "me@example.org"\noptions = ["--qos=long"]\n'
    )
    campaign = with_execution(path, SLURM.replace('walltime = "01:00:00"\n', ""))
    (executor,) = _configure(campaign, site).executors
    assert executor.provider.walltime == "48:00:00"
    assert executor.provider.scheduler_options.splitlines()[:4] == [
        "#SBATCH --account=chem",
        "#SBATCH --partition=long",  # the campaign file is more special than the site file
        "#SBATCH --mem=8G",
        "#SBATCH --qos=long",
    ]
    assert "module load gcc || exit 1" in executor.provider.worker_init.splitlines()
    with pytest.raises(ConfigError, match=r'is for jobs of Slurm, but .* kind = "local"'):
        _configure(with_execution(path, 'kind = "local"\n'), site)
    site.write_text('scheduler = "pbs"\n')
    with pytest.raises(ConfigError, match="has scheduler = 'pbs', but"):
        _configure(campaign, site)


def test_any_config_of_parsl_is_a_function_in_a_file(path: Path) -> None:
    (path.parent / "own.py").write_text(OWN)
    campaign = with_execution(path, 'kind = "parsl"\nconfig = "own.py:threads"\n')
    assert _configure(campaign).executors[0].max_threads == 7


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own.py:thread", "'own.py:thread' cannot be found"),
        ("other.py:threads", "'other.py:threads' cannot be found"),
        ("no.such.module:threads", "cannot be found"),
        ("own.py:nothing", "returns 3, which is not a parsl.Config"),
    ],
)
def test_a_config_that_is_none_is_an_error(path: Path, name: str, said: str) -> None:
    (path.parent / "own.py").write_text(OWN)
    campaign = with_execution(path, f'kind = "parsl"\nconfig = "{name}"\n')
    with pytest.raises(ConfigError) as caught:
        _configure(campaign)
    assert said in str(caught.value)


def test_a_job_has_a_core_for_each_thread_of_each_client_each_driver_and_ipi(path: Path) -> None:
    head = 'clients = 2\nclient_files = ["client.toml", "other.toml"]\ndrivers = ["sleep 1"]\n'
    path.write_text(head + re.sub(r"(?m)^clients = .*\n", "", path.read_text()))
    client = (path.parent / "template" / "client.toml").read_text()
    (path.parent / "template" / "other.toml").write_text("threads = 3\n" + client)
    campaign = with_execution(path, SLURM.replace("cores = 4\n", ""))
    (executor,) = _configure(campaign).executors
    assert executor.provider.cores_per_node == 2 * (1 + 3) + 1 + 1
