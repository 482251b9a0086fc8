"""Train one member of a committee, and write its model file and its record."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from mace.data import AtomicData

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.model_files import digest, quiet_third_parties, trust
from mlobs_client.files import read_json, write_json
from mlobs_client.learn.batches import join, make_graph, mean_neighbours
from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.files import write_pickle
from mlobs_client.learn.fit import Fit, Further, Recipe, ReportStep
from mlobs_client.learn.networks import SIZES, Architecture, build, scale_outputs, to_float64
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.theories import WithZeros
from mlobs_client.structure import Array

ATOMS_OF_A_STEP: Final = 200
"""Approximate number of atoms per step; smaller structures are joined."""


def train_member(
    settings: TrainingSettings,
    data_set: DataSet,
    path: Path,
    seed: int,
    report: ReportStep,
    device: str,
) -> None:
    """Train a member from its start or its checkpoint, and write its files.

    Args:
        settings: settings of the committee.
        data_set: data set made with these settings.
        path: model file of the member.
        seed: seed of the member.
        report: called with the progress.
        device: device for training.

    Raises:
        ConfigError: the device cannot be used.
        ModelError: training failed, or a file cannot be written.
    """
    fit, architecture = _make_fit(settings, data_set, path.with_suffix(".checkpoint"), seed, device)
    start = time.perf_counter()
    checks = fit.run(report)
    network, energies = _without_zeros(fit.network.cpu(), data_set)
    exact = to_float64(network, architecture, energies)
    with quiet_third_parties():
        write_pickle(path, exact)
    record = {
        "seed": seed,
        "n_train": len(fit.train),
        "n_valid": len(fit.valid),
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "error": min(check.error for check in checks),
        "checks": [check._asdict() for check in checks],
        "seconds": round(time.perf_counter() - start, 1),
        "weights_sha256": _digest_of_weights(exact),
        "sha256": digest(path),
    }
    trust(path)  # before the member counts as done, so that a kill leaves none without trust
    write_json(path.with_suffix(".json"), record)
    with contextlib.suppress(OSError):  # the member is done without that
        fit.checkpoint.unlink()


def read_record(path: Path | str) -> dict[str, Any]:
    """Return the record of the training of a member, which is empty until the member is done.

    Args:
        path: model file of the member.

    Raises:
        ModelError: the model file has changed since it was written.
    """
    path = Path(path)
    record = path.with_suffix(".json")
    if not record.exists():
        return {}
    content: dict[str, Any] = read_json(record)
    if digest(path) != content["sha256"]:
        raise ModelError(
            f"{path}: is not the file that training wrote; remove {record.name} to train this "
            "member again"
        )
    return content


def _digest_of_weights(network: torch.nn.Module) -> str:
    """Return a sha256 that is the same for equal networks, unlike that of a pickle."""
    known = hashlib.sha256()
    for name, value in network.state_dict().items():
        known.update(name.encode() + value.cpu().contiguous().numpy().tobytes())
    return known.hexdigest()


def _move(network: torch.nn.Module, device: str) -> torch.nn.Module:
    try:
        return network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        reason = str(error).strip().split("\n")[0]
        raise ConfigError(f"--device {device}: cannot be used here ({reason})") from error


def _make_fit(
    settings: TrainingSettings, data_set: DataSet, checkpoint: Path, seed: int, device: str
) -> tuple[Fit, Architecture]:
    """Return the training of a member from its start, and the architecture of its network."""
    train, valid = (_graphs(settings, data_set, places) for places in data_set.split(seed))
    further = [
        Further(graphs, _batch(graphs), share.weight)
        for share in data_set.also
        if (graphs := _graphs(settings, data_set, share.places))
    ]
    weights = settings.all_weights
    architecture = Architecture(
        settings.kind,
        SIZES[settings.size]._replace(**settings.network),  # type: ignore[arg-type]
        data_set.species,
        settings.cutoff,
        mean_neighbours(train),
        data_set.scales["energy"] if weights else 1.0,
    )
    torch.manual_seed(seed)
    network = _move(build(architecture, torch.float32), device)
    quanta = dict(enumerate(data_set.quanta))
    objective = Objective(settings.kind, data_set.scales, quanta, weights)
    learned = _with_zeros(network, data_set, architecture.scale, device)
    first = [*train, *(graph for one in further for graph in one.graphs)]
    _scale(network, learned, objective, valid, first, device)
    recipe = Recipe(settings.steps, settings.rate, settings.batch or _batch(train))
    fit = Fit(learned, objective, train, valid, recipe, seed, checkpoint, device, further)
    return fit, architecture


def _graphs(
    settings: TrainingSettings, data_set: DataSet, places: Iterable[int]
) -> list[AtomicData]:
    """Return graphs whose ``place`` is that in the data set."""
    graphs = []
    for s in places:
        one, targets = data_set.labelled[s], dict(data_set.targets[s])
        theory = data_set.theories[s]
        graph = make_graph(one, targets, data_set.species, settings.cutoff, theory=theory)
        graph.place = torch.tensor(int(s))
        graphs.append(graph)
    return graphs


def _batch(graphs: list[AtomicData]) -> int:
    n_atoms = float(np.mean([graph.num_nodes for graph in graphs]))
    return max(1, round(ATOMS_OF_A_STEP / n_atoms))


def _with_zeros(
    network: torch.nn.Module, data_set: DataSet, unit: float, device: str
) -> torch.nn.Module:
    """Give energies their zeros, for potentials and for several levels of theory."""
    free_atoms = data_set.free_atoms
    if free_atoms is None or (data_set.kind != "potential" and len(free_atoms) == 1):
        return network
    n_levels, n_species = free_atoms.shape
    return WithZeros(network, n_levels, n_species, unit).to(device)


def _without_zeros(
    learned: torch.nn.Module, data_set: DataSet
) -> tuple[torch.nn.Module, Array | None]:
    """Return the network, and the energies of free atoms at its level of theory."""
    free_atoms = data_set.free_atoms
    if free_atoms is None:
        return learned, None
    if not isinstance(learned, WithZeros):
        return learned, free_atoms[0]
    return learned.network, free_atoms[0] + learned.energies[0]


def _scale(
    network: torch.nn.Module,
    learned: torch.nn.Module,
    objective: Objective,
    valid: list[AtomicData],
    first: list[AtomicData],
    device: str,
) -> None:
    """Give initial outputs the size of the targets, and energies their first zeros."""
    if isinstance(learned, WithZeros):
        learned.fit(first, device)
    squares = [objective.error(learned, join([graph], device)) for graph in valid]
    scale_outputs(network, 1.0 / max(1.0, float(np.sqrt(np.mean(squares)))))
    if isinstance(learned, WithZeros):
        learned.fit(first, device)
