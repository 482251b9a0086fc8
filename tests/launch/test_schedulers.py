"""Options of jobs of Slurm and PBS: those of the site file, those of the user, and refusals."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mlobs_client.errors import ConfigError
from mlobs_client.launch.jobs import Job, script
from mlobs_client.launch.site import Site

JOB = Job(Path("/water/input.sh"), ["mlobs"], "24:00:00", cpus=5)
SITE = Site()


def asked(text: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if "#SBATCH" in line]


OF_SITE = {
    "account": "chem", "partition": "gpu", "memory": "32G", "gpu": "a100", "mail": "me@example.org",
}  # fmt: skip


def test_slurm_is_asked_for_what_the_site_file_says() -> None:
    site = Site(**OF_SITE, options=("--qos=long",), continuation="chain")
    job = replace(JOB, gpus=4, gpu="v100", time="2-12", options=("--partition=debug",))
    assert asked(script(job, site)) == [
        "--job-name=water",
        "--account=chem",
        "--partition=debug",
        "--mem=32G",
        "--nodes=1",
        "--ntasks=1",
        "--cpus-per-task=5",
        "--gpus-per-node=v100:4",
        "--time=60:00:00",
        "--signal=B:USR1@180",
        "--no-requeue",
        "--mail-user=me@example.org --mail-type=END,FAIL",
        "--open-mode=append",
        "--output=%x-%j.out",
        "--qos=long",
    ]


def test_pbs_is_asked_for_the_same_in_its_own_words() -> None:
    site = Site(scheduler="pbs", **OF_SITE, options=("-l place=excl", "-q long"))
    text = script(replace(JOB, gpus=4, gpu="v100", time="2-12", options=("-q debug",)), site)
    assert [line for line in text.splitlines() if line.startswith("#PBS")] == [
        "#PBS -N water",
        "#PBS -A chem",
        "#PBS -q debug",
        "#PBS -l select=1:ncpus=5:mem=32gb:ngpus=4:gpu_type=v100",
        "#PBS -l walltime=60:00:00",
        "#PBS -r n",
        "#PBS -M me@example.org -m ae",
        "#PBS -j oe",
        "#PBS -l place=excl",
    ]
    assert 'next=$(qsub -W depend=afterany:"$PBS_JOBID" -v since="$before" input.sh)' in text
    assert "\ntimeout 215820 mlobs &\n" in text  # three minutes before 60 hours
    for alien in ("SLURM", "sbatch", "scancel", "scontrol"):
        assert alien not in text


def test_without_a_site_file_slurm_is_asked_for_nothing_that_a_site_decides() -> None:
    assert not {"--account", "--partition", "--mem", "--mail-user"} & {
        option.split("=")[0] for option in asked(script(JOB, SITE))
    }


@pytest.mark.parametrize("option", ["partition=long", "--a b", "--x=1\nrm -r .", "-p"])
def test_what_is_no_option_of_sbatch_is_refused(option: str) -> None:
    with pytest.raises(ConfigError, match="is not an option of sbatch"):
        script(replace(JOB, options=[option]), SITE)


@pytest.mark.parametrize("option", ["--time=5", "--signal=B:KILL@10", "--no-requeue"])
def test_options_that_the_script_depends_on_are_refused(option: str) -> None:
    with pytest.raises(ConfigError, match="the job needs its own"):
        script(replace(JOB, options=[option]), SITE)


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--partition=long", "is not an option of qsub; write it as one word, for example '--qsub"),
        ("-q a\nrm -r .", "is not an option of qsub"),
        ("-l walltime=1:00:00", "the job needs its own"),
    ],
)
def test_options_of_pbs_are_refused_likewise(option: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        script(replace(JOB, options=[option]), Site(scheduler="pbs"))
