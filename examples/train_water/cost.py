"""Measure the time of a network, and the influence of edges beyond its cutoff."""

import time
from pathlib import Path

import torch
from ase import Atoms
from graphs import CUTOFF, batch_of

from mlobs_client.evaluate import load


def milliseconds(kind: str, model: torch.nn.Module, atoms: Atoms, dtype: torch.dtype) -> float:
    """Return the smallest processor time of one evaluation: energy and forces, or the tensor."""
    torch.set_default_dtype(dtype)
    model = model.to(dtype)
    batch = batch_of([atoms])
    times = []
    for _ in range(25):
        start = time.process_time()  # on a shared machine, the clock on the wall tells of others
        with torch.set_grad_enabled(kind == "potential"):
            model(batch)
        times.append(time.process_time() - start)
    torch.set_default_dtype(torch.float64)
    return 1e3 * min(times)


def cost(kind: str, path: Path, atoms: Atoms) -> dict[str, float]:
    """Return times for 64 molecules, with one thread and eager torch, also per atom."""
    single = milliseconds(kind, load(path), atoms, torch.float32)
    double = milliseconds(kind, load(path), atoms, torch.float64)
    return {
        "float64_us_per_atom": round(1e3 * double / len(atoms), 1),
        "float32_us_per_atom": round(1e3 * single / len(atoms), 1),
        "float64_ms_for_192_atoms": round(double, 1),
        "float32_ms_for_192_atoms": round(single, 1),
    }


def edges_beyond_cutoff(kind: str, model: torch.nn.Module, atoms: Atoms) -> float:
    """Return the largest change of the output by edges beyond the cutoff, which must be 0."""
    name = {"potential": "energy"}.get(kind, kind)
    near = batch_of([atoms])
    far = batch_of([atoms], cutoff=CUTOFF + 1.0)
    return float((model(near)[name] - model(far)[name]).abs().max().detach())
