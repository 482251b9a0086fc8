"""Campaigns with the real i-PI: complete, interrupted, killed, and the same in the end."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import ase.io
import numpy as np
import pytest
import slurm
from campaigns import (
    find_processes,
    kill_all_in,
    largest_difference,
    said,
    start_campaign,
    wait_for_end,
    write_campaign,
)
from ipi_runs import ROUNDING

from mlobs_client.campaign.campaign import load

pytestmark = pytest.mark.skipif(not Path("/proc").exists(), reason="looks at processes in /proc")
STEPS = 200


def finish(folder: Path) -> None:
    assert wait_for_end(start_campaign(folder), folder) == 0, said(folder)


def wait_until(claim: Callable[[], bool], folder: Path, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not claim():
        assert time.monotonic() < deadline, said(folder)
        time.sleep(0.02)


def steps_of(folder: Path, name: str) -> int:
    """How many lines i-PI has written."""
    path = folder / "runs" / name / "simulation.out"
    return path.read_text().count("\n") if path.exists() else 0


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four runs, of which two start from the ends of the others."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_campaign(folder, steps=STEPS, at_once=2)
    finish(folder)
    return folder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    kill_all_in(tmp_path)


def test_a_run_starts_from_the_end_of_its_neighbour(undisturbed: Path) -> None:
    runs = undisturbed / "runs"
    end = (runs / "temperature=280_seed=2" / "RESTART").read_text()
    second = runs / "temperature=300_seed=2"
    assert (second / "start.chk").read_text() == end
    assert f"<step>{STEPS}</step>" in "".join(end.split())
    last = ase.io.read(runs / "temperature=280_seed=2" / "simulation.pos_0.xyz", -1)
    first = ase.io.read(second / "simulation.pos_0.xyz", 0)
    np.testing.assert_allclose(first.positions, last.positions, atol=1e-7)
    result = json.loads((second / "done.json").read_text())
    assert (result["steps"], result["parameters"]) == (STEPS, {"temperature": 300, "seed": 2})


def test_a_campaign_that_is_done_repeats_nothing(undisturbed: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (undisturbed / "runs").rglob("*")}
    started = time.monotonic()
    finish(undisturbed)
    print(f"a campaign that is done takes {time.monotonic() - started:.1f} s")
    assert {p: p.stat().st_mtime_ns for p in (undisturbed / "runs").rglob("*")} == before
    assert (undisturbed / "said.log").read_text().endswith("finished: all 4 runs are done\n")


def test_a_signal_stops_all_runs_with_a_restart(folder: Path) -> None:
    write_campaign(folder, seeds=[1], steps=100_000)
    process = start_campaign(folder)
    wait_until(lambda: steps_of(folder, "temperature=280_seed=1") > 20, folder)
    process.send_signal(signal.SIGTERM)
    assert wait_for_end(process, folder) == 128 + signal.SIGTERM
    assert "stopped: SIGTERM; 0 of 2 runs are done, continue with:" in said(folder)
    assert "mlobs campaign resume campaign.toml" in said(folder)
    assert (folder / "runs" / "temperature=280_seed=1" / "RESTART").exists()
    assert not (folder / "runs" / "temperature=300_seed=1").exists()
    assert find_processes(folder) == []


def test_a_campaign_that_is_killed_three_times_ends_as_if_it_were_not(
    folder: Path, undisturbed: Path
) -> None:
    write_campaign(folder, steps=STEPS, at_once=2)
    names = list(load(folder / "campaign.toml").runs)
    # all processes, the campaign alone, all again: in the first, second and third run
    for name, kill_all in zip(names, (True, False, True), strict=False):
        process = start_campaign(folder)
        wait_until(lambda name=name: steps_of(folder, name) > STEPS // 3, folder)
        if kill_all:
            kill_all_in(folder)
        process.kill()
        process.wait()
    finish(folder)
    assert largest_difference(folder, undisturbed) < ROUNDING
    with_results = [path.name for path in sorted((folder / "runs").iterdir())]
    assert with_results == sorted(names)


ALL_JOBS = ("squeue", "-h", "-t", "all", "-o", "%i %c")


@pytest.mark.skipif(bool(slurm.why_not()), reason=slurm.why_not())
def test_runs_are_jobs_of_slurm(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = write_campaign(folder, seeds=[1], steps=20)
    text = path.read_text().partition("kind =")[0]
    path.write_text(text + 'kind = "slurm"\naddress = "127.0.0.1"\nwalltime = "00:20:00"\n')
    with slurm.running(tmp_path_factory.mktemp("slurm")) as cluster:
        assert wait_for_end(start_campaign(folder, cluster.environment), folder) == 0, said(folder)
        jobs = [line.split() for line in cluster(*ALL_JOBS).splitlines()]
        # one after the other in the same job, which is ended then
        assert [cores for _, cores in jobs] == ["2"]
        cluster.wait_for(jobs[0][0], "CANCELLED")
    assert "finished: all 2 runs are done" in said(folder)
