"""Train one member of a committee, and write its model file and its record."""

from __future__ import annotations

import contextlib
import hashlib
import math
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from mace.data import AtomicData

from mlobs_client.errors import ConfigError, ModelError
from mlobs_client.evaluate.model_files import digest, quiet_third_parties, trust
from mlobs_client.files import read_json, write_json
from mlobs_client.learn.batches import join, make_graph, mean_neighbours
from mlobs_client.learn.compiled import Compiled, Steps, compile_steps
from mlobs_client.learn.data_set import DataSet
from mlobs_client.learn.files import write_pickle
from mlobs_client.learn.first_traces import fit_traces
from mlobs_client.learn.fit import Fit, Further, Recipe, ReportStep
from mlobs_client.learn.labels import species_of
from mlobs_client.learn.networks import (
    SIZES,
    Architecture,
    build,
    copy_weights,
    scale_outputs,
    to_float64,
)
from mlobs_client.learn.objective import Objective
from mlobs_client.learn.settings import TrainingSettings
from mlobs_client.learn.start import read_start, read_to_train, set_free_atoms
from mlobs_client.learn.theories import WithZeros
from mlobs_client.structure import Array

ATOMS_OF_A_STEP: Final = 200
"""Approximate number of atoms per step; smaller structures are joined."""


EXACTLY: Final = (
    "the same seed and number of threads give the same weights on the same machine; model files "
    "may differ in names that TorchScript gives to its classes"
)
"""Promise about another training with the same settings; CUDA adds numbers in any order."""


def train_member(
    settings: TrainingSettings,
    data_set: DataSet,
    path: Path,
    seed: int,
    report: ReportStep,
    device: str,
    start: Path | None = None,
) -> None:
    """Train a member from its start or its checkpoint, and write its files.

    Args:
        settings: settings of the committee.
        data_set: data set made with these settings.
        path: model file of the member.
        seed: seed of the member.
        report: called with the progress.
        device: device for training.
        start: model file with the initial weights; None for random ones.

    Raises:
        ConfigError: the device cannot be used.
        ModelError: training failed, or a file cannot be written.
    """
    checkpoint = path.with_suffix(".checkpoint")
    report(0, math.nan)
    fit, exact = _make_fit(settings, data_set, checkpoint, seed, device, start)
    begin = time.perf_counter()
    checks = fit.run(report)
    learned, energies = _without_zeros(fit.network.cpu(), data_set)
    network = learned.network if isinstance(learned, Compiled) else learned
    copy_weights(network, exact)
    if energies is not None:
        set_free_atoms(exact, energies)
    with quiet_third_parties():
        write_pickle(path, exact)
    record = {
        "seed": seed,
        "n_train": len(fit.train),
        "n_valid": len(fit.valid),
        "n_parameters": sum(parameter.numel() for parameter in network.parameters()),
        "error": min(check.error for check in checks),
        "checks": [check._asdict() for check in checks],
        "seconds": round(time.perf_counter() - begin, 1),
        "repeats": EXACTLY if device == "cpu" else f"not to the last bit, on {device}",
        "threads": torch.get_num_threads(),
        "compiled": network is not learned,
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


class _Made(NamedTuple):
    """A network to train in single precision, and the same in double precision."""

    network: torch.nn.Module
    exact: torch.nn.Module


def _make(
    settings: TrainingSettings, data_set: DataSet, seed: int, start: Path | None, neighbours: float
) -> _Made:
    torch.manual_seed(seed)
    if start is not None:
        return _Made(read_to_train(start, settings.kind), read_start(start, settings.kind))
    architecture = Architecture(
        settings.kind,
        SIZES[settings.size]._replace(**settings.network),  # type: ignore[arg-type]
        data_set.species,
        settings.cutoff,
        neighbours,
        data_set.scales["energy"] if settings.all_weights else 1.0,
        settings.pair_repulsion,
    )
    network = build(architecture, torch.float32)
    return _Made(network, to_float64(network, architecture))


def _make_fit(
    settings: TrainingSettings,
    data_set: DataSet,
    checkpoint: Path,
    seed: int,
    device: str,
    start: Path | None,
) -> tuple[Fit, torch.nn.Module]:
    """Return the training of a member from its start, and its network in double precision."""
    split = data_set.split(seed, settings.vary, settings.seed)
    train, valid = (_graphs(settings, data_set, places) for places in split)
    further = [
        Further(graphs, _batch(graphs), share.weight)
        for share in data_set.also
        if (graphs := _graphs(settings, data_set, share.places))
    ]
    made = _make(settings, data_set, seed, start, mean_neighbours(train))
    network = _move(made.network, device)
    batch = settings.batch or _batch(train)
    quanta = dict(enumerate(data_set.quanta))
    objective = Objective(settings.kind, data_set.scales, quanta, settings.all_weights)
    # the same for all members, whatever their validation structures, so that they share programs
    steps = [Steps([*train, *valid], batch), *(Steps(one.graphs, one.batch) for one in further)]
    compiled = compile_steps(network, settings.kind, steps, settings.steps, settings.compile)
    learned = _with_zeros(compiled, data_set, device, is_random=start is None)
    first = [*train, *(graph for one in further for graph in one.graphs)]
    if isinstance(learned, WithZeros):
        learned.fit(first, device)
    if start is None:
        _scale(network, learned, objective, valid, first, device)
    recipe = Recipe(settings.steps, settings.rate, batch, patience=settings.patience)
    fit = Fit(learned, objective, train, valid, recipe, seed, checkpoint, device, further)
    return fit, made.exact


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
    network: torch.nn.Module, data_set: DataSet, device: str, *, is_random: bool
) -> torch.nn.Module:
    """Give energies their zeros: for potentials, several levels of theory, and after a start."""
    free_atoms = data_set.free_atoms
    if free_atoms is None or (data_set.kind != "potential" and len(free_atoms) == 1 and is_random):
        return network
    n_levels, n_species = free_atoms.shape
    return WithZeros(network, n_levels, n_species, data_set.scales["energy"]).to(device)


def _without_zeros(
    learned: torch.nn.Module, data_set: DataSet
) -> tuple[torch.nn.Module, Array | None]:
    """Return the network, and the energies of free atoms at its level of theory.

    They are NaN for species that no structure at this level has.
    """
    free_atoms = data_set.free_atoms
    if free_atoms is None:
        return learned, None
    levels = zip(data_set.labelled, data_set.theories, strict=True)
    present = np.isin(data_set.species, species_of([one for one, level in levels if level == 0]))
    energies = np.where(present, free_atoms[0], np.nan)
    if not isinstance(learned, WithZeros):
        return learned, energies
    return learned.network, energies + learned.energies[0]


def _scale(
    network: torch.nn.Module,
    learned: torch.nn.Module,
    objective: Objective,
    valid: list[AtomicData],
    first: list[AtomicData],
    device: str,
) -> None:
    """Give initial outputs the size of the targets, traces and zeros of energies their values."""
    squares = [objective.error(learned, join([graph], device)) for graph in valid]
    scale_outputs(network, 1.0 / max(1.0, float(np.sqrt(np.mean(squares)))))
    if objective.kind == "polarizability":
        fit_traces(network, first, device)
    if isinstance(learned, WithZeros):
        learned.fit(first, device)
