"""Assign runs and clients to the GPUs of this machine, or clients to the nodes of an allocation."""

from __future__ import annotations

import itertools
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from mlobs_client.client.service import ClientFile
from mlobs_client.errors import LaunchError

CHOSEN: Final = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Placement:
    """A GPU or a node on which a client is started.

    Attributes:
        words: words that precede the command of the client.
        environment: variables that are added to its environment.
    """

    words: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def on_this_machine(files: Mapping[str, ClientFile]) -> dict[str, Placement]:
    """Distribute the GPUs of this machine among the clients with ``device = "cuda"``.

    Args:
        files: the client file of each process, by its name.
    """
    gpus = itertools.cycle(visible_gpus() or [""])
    places = {}
    for name, file in files.items():
        gpu = next(gpus) if file.uses_gpu else ""
        places[name] = Placement(environment={CHOSEN: gpu} if gpu else {})
    return places


def by_srun(files: Mapping[str, ClientFile]) -> dict[str, Placement]:
    """Let Slurm choose the node: each client is a job step of the current allocation.

    Args:
        files: the client file of each process, by its name.

    Raises:
        LaunchError: there is no allocation, or no srun.
    """
    if "SLURM_JOB_ID" not in os.environ or shutil.which("srun") is None:
        raise LaunchError(
            "--srun starts clients on the nodes of a Slurm allocation, but there is none; make "
            "a job with 'mlobs launch --nodes N', or leave --srun out"
        )
    places = {}
    for name, file in files.items():
        asked = [
            "--exact",  # no more than this, so that the others find room
            "--nodes=1",
            "--ntasks=1",
            f"--cpus-per-task={file.config.threads}",
            *(["--gpus=1"] if file.uses_gpu else []),
            f"--job-name={name}",
            "--quiet",
        ]
        places[name] = Placement(words=("srun", *asked))
    return places


def share(gpus: Sequence[str], n_runs: int) -> list[str]:
    """Share GPUs out among runs that work on one machine at the same time.

    With more GPUs than runs, a run has several; with more runs than GPUs, several runs have the
    same one.

    Args:
        gpus: numbers or names of the GPUs.
        n_runs: number of runs, at least 1.

    Returns:
        The value of CUDA_VISIBLE_DEVICES for each run; empty strings without GPUs.
    """
    if not gpus:
        return [""] * n_runs
    return [",".join(gpus[k::n_runs] or [gpus[k % len(gpus)]]) for k in range(n_runs)]


def visible_gpus() -> list[str]:
    """Return the GPUs of CUDA_VISIBLE_DEVICES; where that is not set, all of this machine."""
    chosen = os.environ.get(CHOSEN)
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu]
    # CUDA counts those that it finds, whatever their numbers are
    return [str(k) for k, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
