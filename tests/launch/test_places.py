from pathlib import Path

import pytest

from mlobs_client.client import config as client_file
from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError
from mlobs_client.launch.places import Placement, by_srun, on_this_machine, share

POTENTIAL = '[potential]\nkind = "mace"\nmodels = ["a.model"]\n'


@pytest.fixture
def files(tmp_path: Path) -> dict[str, ClientFile]:
    """Two clients that want a GPU, and two that do not."""
    found = {}
    for name, device in (("fast", "cuda"), ("slow", "cpu")):
        path = tmp_path / f"{name}.toml"
        path.write_text(f'structure = "init.xyz"\nthreads = 3\n{POTENTIAL}device = "{device}"\n')
        file = ClientFile(path, client_file.load_config(path))
        found.update({f"{name}-{k}": file for k in range(2)})
    return found


def test_gpus_are_given_in_turn_to_those_that_want_one(files, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    places = on_this_machine({**files, "fast-2": files["fast-0"]})
    assert {name: place.environment for name, place in places.items()} == {
        "fast-0": {"CUDA_VISIBLE_DEVICES": "4"},
        "fast-1": {"CUDA_VISIBLE_DEVICES": "6"},
        "fast-2": {"CUDA_VISIBLE_DEVICES": "4"},
        "slow-0": {},
        "slow-1": {},
    }


@pytest.mark.parametrize(
    ("gpus", "n_runs", "shares"),
    [
        (["4", "6"], 2, ["4", "6"]),
        (["0", "1", "2", "3", "4"], 2, ["0,2,4", "1,3"]),
        (["0", "GPU-7f"], 3, ["0", "GPU-7f", "0"]),
        (["0"], 1, ["0"]),
        ([], 2, ["", ""]),
    ],
)
def test_runs_share_gpus_out(gpus: list[str], n_runs: int, shares: list[str]) -> None:
    assert share(gpus, n_runs) == shares


def test_a_named_gpu_is_left_to_the_user(files, monkeypatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    path = files["fast-0"].path
    path.write_text(path.read_text().replace('"cuda"', '"cuda:1"'))
    named = {"fast-0": ClientFile(path, client_file.load_config(path))}
    assert on_this_machine(named) == {"fast-0": Placement()}


def test_slurm_is_asked_for_one_task_with_its_threads_and_its_gpu(
    files, monkeypatch, tmp_path
) -> None:
    (tmp_path / "srun").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    places = by_srun(files)
    asked = {"srun", "--exact", "--nodes=1", "--ntasks=1", "--cpus-per-task=3"}
    assert all(asked <= set(place.words) for place in places.values())
    assert [name for name, place in places.items() if "--gpus=1" in place.words] == [
        "fast-0", "fast-1"
    ]  # fmt: skip


def test_outside_of_a_job_the_remedy_is_named(files, monkeypatch) -> None:
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(LaunchError, match="make a job with 'mlobs launch --nodes N'"):
        by_srun(files)
