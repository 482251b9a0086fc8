"""Train one member of a committee: ``python train.py KIND SEED [--steps N]``.

A member learns from its own random nine tenths of the frames that are not held out; the others
validate it (the best weights are kept). Single precision on one thread of a CPU; the
result is written in double precision as an ordinary MACE ``.model`` file, with a JSON that
describes the training.
"""

import argparse
import copy
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import ase.io
import numpy as np
import torch
from ase import Atoms
from mace.data import AtomicData
from networks import ARCHITECTURE, ELEMENTS, KINDS, build, join, make_graph
from prepare import OXIDATION_NUMBERS, WORK
from torch_ema import ExponentialMovingAverage

from mlobs_client.evaluate import load, trust

Batch = dict[str, torch.Tensor]
Loss = Callable[[torch.nn.Module, "Sets", np.random.Generator], torch.Tensor]


class Recipe(NamedTuple):
    """Settings of the optimization of one kind."""

    steps: int
    rate: float  # highest learning rate of the one-cycle schedule
    average: float  # decay of the running average of the weights


RECIPES = {
    "potential": Recipe(5000, 0.01, 0.995),
    "dipole": Recipe(1000, 0.02, 0.98),
    "polarizability": Recipe(5000, 0.07, 0.98),
}
FREE_H_ATOM = -13.6  # eV; one composition cannot tell O from H, so H is set and O takes the rest
ENERGY_WEIGHT = 30.0  # of (eV/atom)^2 against (eV/angstrom)^2
GAS_ENERGY_WEIGHT = 0.5  # of (eV/molecule)^2: another level of theory, another zero
GAS_BATCH = 16
GAS_WEIGHT = 0.1
BORN_EVERY = 4  # steps; they cost as much as four steps without
BORN_WEIGHT = 0.02


@dataclass
class Sets:
    """Graphs of one member, by use."""

    train: list[AtomicData]
    valid: list[AtomicData]
    gas: list[AtomicData] = field(default_factory=list)
    born: list[AtomicData] = field(default_factory=list)
    shift: float = 0.0  # running mean error of the energy per atom, removed at the end


def read(path: Path) -> list[Atoms]:
    """Return the frames that training may use."""
    return [atoms for atoms in ase.io.iread(path) if atoms.info["split"] == "rest"]


def split(frames: list[Atoms], seed: int) -> tuple[list[Atoms], list[Atoms]]:
    """Return the training and validation frames of a member."""
    order = np.random.default_rng([seed, 7]).permutation(len(frames))
    n_valid = max(1, len(frames) // 10)
    return [frames[i] for i in order[n_valid:]], [frames[i] for i in order[:n_valid]]


def potential_loss(model: torch.nn.Module, sets: Sets, random: np.random.Generator) -> torch.Tensor:
    """Return the loss of forces and energy of one frame, and of energy differences of clusters."""
    batch = join([sets.train[random.integers(len(sets.train))]])
    result = model(batch, training=True)
    error = (result["interaction_energy"] - batch["energy"]) / len(batch["batch"])
    sets.shift = 0.98 * sets.shift + 0.02 * error.detach().mean().item()
    forces = (result["forces"] - batch["forces"]).square().mean()
    loss = forces + ENERGY_WEIGHT * (error - sets.shift).square().mean()
    gas = join(pick(sets.gas, GAS_BATCH, random))
    error = model(gas, compute_force=False)["interaction_energy"] - gas["energy"]
    error = error / gas["n_molecules"]
    return loss + GAS_ENERGY_WEIGHT * (error - error.mean()).square().mean()


def pick(graphs: list[AtomicData], n: int, random: np.random.Generator) -> list[AtomicData]:
    """Return some of the graphs, without repeats."""
    return [graphs[i] for i in random.choice(len(graphs), min(n, len(graphs)), replace=False)]


def gas_and_liquid(
    kind: str, model: torch.nn.Module, sets: Sets, random: np.random.Generator
) -> torch.Tensor:
    """Return the squared error per molecule of one liquid frame, plus a small part for clusters."""
    losses = []
    for graphs in (pick(sets.train, 1, random), pick(sets.gas, GAS_BATCH, random)):
        batch = join(graphs)
        error = (model(batch)[kind] - batch[kind]).flatten(start_dim=1)
        losses.append((error / batch["n_molecules"].sqrt()[:, None]).square().mean())
    return losses[0] + GAS_WEIGHT * losses[1]


def remainder_apt(batch: Batch) -> torch.Tensor:
    """Return Born charges less the oxidation numbers, the target of the network's own dipole."""
    numbers = torch.tensor([float(OXIDATION_NUMBERS[z]) for z in ELEMENTS.zs])
    return batch["apt"] - (batch["node_attrs"] @ numbers)[:, None, None] * torch.eye(3)


def born_loss(model: torch.nn.Module, sets: Sets, random: np.random.Generator) -> torch.Tensor:
    """Return the squared error of Born charges along a random direction, by one backward pass."""
    batch = join(pick(sets.born, 1, random))
    direction = torch.tensor(random.normal(size=3), dtype=torch.get_default_dtype())
    direction = direction / direction.norm()
    along = model(batch)["dipole"] @ direction
    (gradient,) = torch.autograd.grad(along.sum(), batch["positions"], create_graph=True)
    target = torch.einsum("Iij,i->Ij", remainder_apt(batch), direction)
    return (gradient - target).square().mean()


def dipole_loss(model: torch.nn.Module, sets: Sets, random: np.random.Generator) -> torch.Tensor:
    """Return the loss of dipoles of liquid and gas and, every few steps, of Born charges."""
    loss = gas_and_liquid("dipole", model, sets, random)
    if random.integers(BORN_EVERY) == 0:
        loss = loss + BORN_EVERY * BORN_WEIGHT * born_loss(model, sets, random)
    return loss


def polarizability_loss(
    model: torch.nn.Module, sets: Sets, random: np.random.Generator
) -> torch.Tensor:
    """Return the loss of polarizabilities of liquid and gas."""
    return gas_and_liquid("polarizability", model, sets, random)


LOSSES: dict[str, Loss] = {
    "potential": potential_loss,
    "dipole": dipole_loss,
    "polarizability": polarizability_loss,
}


def validate(kind: str, model: torch.nn.Module, graphs: list[AtomicData]) -> float:
    """Return the RMSE on the validation frames: forces eV/A, dipole e A, or polarizability A^3."""
    squares = []
    for graph in graphs:
        batch = join([graph])
        name = {"potential": "forces"}.get(kind, kind)
        squares.append((model(batch)[name].detach() - batch[name]).square().mean().item())
    return float(np.sqrt(np.mean(squares)))


def fit(
    kind: str, model: torch.nn.Module, sets: Sets, seed: int, recipe: Recipe
) -> list[list[float]]:
    """Train in place; keep the running average of the weights with the best validation."""
    steps = recipe.steps
    random = np.random.default_rng([seed, 11])
    optimizer = torch.optim.Adam(model.parameters(), lr=recipe.rate, amsgrad=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.rate, total_steps=steps, pct_start=0.05, final_div_factor=100
    )
    average = ExponentialMovingAverage(model.parameters(), decay=recipe.average)
    best, best_state, history, start = np.inf, None, [], time.perf_counter()
    for step in range(1, steps + 1):
        loss = LOSSES[kind](model, sets, random)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        average.update()
        if step % max(1, steps // 16) == 0 or step == steps:
            with average.average_parameters():
                error = validate(kind, model, sets.valid)
                if error < best:
                    best, best_state = error, copy.deepcopy(model.state_dict())
            seconds = time.perf_counter() - start
            history.append([step, loss.item(), error, seconds])
            progress = f"step {step} loss {loss.item():.2e} valid {error:.4f} {seconds:.0f} s"
            print(f"{kind}-{seed} {progress}", flush=True)
    model.load_state_dict(best_state)
    return history


def load_sets(kind: str, seed: int, work: Path) -> tuple[Sets, dict[str, float]]:
    """Return the graphs of this member in torch's default precision, and the network's settings."""
    path = work / ("potential.extxyz" if kind == "potential" else "dielectric.extxyz")
    frames = read(path)
    liquid = [atoms for atoms in frames if atoms.info["origin"] == "liquid"]
    train, valid = split(liquid, seed)
    facts = {"scale": 1.0, "energy_per_molecule": 0.0}
    if kind == "potential":
        per_molecule = np.mean([a.info["REF_energy"] / (len(a) / 3) for a in train])
        facts["energy_per_molecule"] = float(per_molecule)
        facts["scale"] = float(
            np.sqrt(np.mean([np.mean(a.arrays["REF_forces"] ** 2) for a in train]))
        )
        gas = [atoms for atoms in frames if atoms.info["origin"] != "liquid"]
        gas_per_molecule = np.mean([a.info["REF_energy"] / (len(a) / 3) for a in gas])
        for atoms in frames:  # in double precision, before graphs round to single
            zero = per_molecule if atoms.info["origin"] == "liquid" else gas_per_molecule
            atoms.info["REF_energy"] -= zero * len(atoms) / 3
    sets = Sets([make_graph(a) for a in train], [make_graph(a) for a in valid])
    sets.gas = [make_graph(a) for a in frames if a.info["origin"] != "liquid"]
    if kind == "dipole":
        sets.born = [make_graph(a) for a in read(work / "born_charges.extxyz")]
    facts["neighbours"] = float(np.mean([g.edge_index.shape[1] / g.num_nodes for g in sets.train]))
    return sets, facts


def in_double(
    kind: str, model: torch.nn.Module, sets: Sets, facts: dict[str, float]
) -> torch.nn.Module:
    """Return the same weights in a network with constants in double precision."""
    e0 = np.zeros(2)
    if kind == "potential":
        shift = np.mean([energy_error(model, graph) for graph in sets.train])
        molecule = facts["energy_per_molecule"] - 3 * shift
        e0 = np.array([FREE_H_ATOM, molecule - 2 * FREE_H_ATOM])
    torch.set_default_dtype(torch.float64)
    exact = build(kind, facts["neighbours"], e0, facts["scale"])
    copy_weights(model, exact)
    return exact


def copy_weights(source: torch.nn.Module, target: torch.nn.Module) -> None:
    """Copy trained weights only: constants keep the precision of the target."""
    weights = dict(source.named_parameters())
    with torch.no_grad():
        for name, parameter in target.named_parameters():
            parameter.copy_(weights[name])


def energy_error(model: torch.nn.Module, graph: AtomicData) -> float:
    """Return the energy of one frame, eV per atom."""
    batch = join([graph])
    energy = model(batch, compute_force=False)["interaction_energy"].detach()
    return float((energy - batch["energy"]).item() / graph.num_nodes)


def main() -> None:
    """Train one member and write it to the work folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("seed", type=int)
    parser.add_argument("--steps", type=int, help="optimizer steps; default depends on the kind")
    parser.add_argument("--rate", type=float, help="highest learning rate; default as above")
    parser.add_argument("--start", type=Path, help="continue from this .model file")
    parser.add_argument("--work", type=Path, default=WORK, help="folder that prepare.py filled")
    arguments = parser.parse_args()
    kind, seed = arguments.kind, arguments.seed
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(seed)
    sets, facts = load_sets(kind, seed, arguments.work)
    model = build(kind, facts["neighbours"], scale=facts["scale"])
    earlier = []
    if arguments.start:
        earlier = json.loads(arguments.start.with_suffix(".json").read_text())["steps"]
        copy_weights(load(arguments.start), model)
    recipe = RECIPES[kind]
    recipe = recipe._replace(
        steps=arguments.steps or recipe.steps, rate=arguments.rate or recipe.rate
    )
    history = fit(kind, model, sets, seed, recipe)
    path = arguments.work / f"{kind}-{seed}.model"
    torch.save(in_double(kind, model, sets, facts), path)
    trust(path)
    path.with_suffix(".json").write_text(
        json.dumps(
            {
                "kind": kind,
                "seed": seed,
                "architecture": ARCHITECTURE[kind],
                "n_parameters": sum(p.numel() for p in model.parameters()),
                "n_train": len(sets.train),
                "n_valid": len(sets.valid),
                "recipe": recipe._asdict(),
                "steps": [*earlier, recipe.steps],
                "history": history,
                **facts,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
