"""Train one network, with checkpoints from which it continues exactly after a kill.

The optimizer is Adam with a one-cycle learning rate over a fixed number of steps. A running average
of the weights is validated at each check, and the best average is kept. Every check writes the
complete state, so that a continued fit ends like an uninterrupted one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from mace.data import AtomicData
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mlobs_client.errors import ModelError
from mlobs_client.evaluate.model_files import quiet_third_parties
from mlobs_client.learn.batches import join
from mlobs_client.learn.files import write_pickle
from mlobs_client.learn.objective import Objective

ReportStep = Callable[[int, float], None]
"""Function that is called with the step and the last validation error."""


class Recipe(NamedTuple):
    """Settings of the optimization.

    Attributes:
        steps: number of steps of the optimizer, at least 4.
        rate: highest learning rate.
        batch: number of structures per step.
        settling: fraction of the steps after which labels may follow the network to other branches.
        n_checks: number of validations.
        patience: number of validations without a smaller error that end the fit; None for none.
    """

    steps: int
    rate: float
    batch: int
    settling: float = 0.3
    n_checks: int = 20
    patience: int | None = None


class Further(NamedTuple):
    """Graphs of a further file, of which each step has a batch as well.

    Attributes:
        graphs: the graphs.
        batch: number of structures per step.
        weight: weight of their mean loss; that of the training graphs is 1.
    """

    graphs: Sequence[AtomicData]
    batch: int
    weight: float


class Check(NamedTuple):
    """The result of one validation.

    Attributes:
        step: number of steps made.
        loss: mean loss since the last validation.
        error: root mean squared error of the averaged weights on the validation structures.
    """

    step: int
    loss: float
    error: float


@dataclass
class Fit:
    """A network in training; afterwards it has the best weights.

    Attributes:
        network: network to train.
        objective: loss and validation error.
        train: training graphs.
        valid: validation graphs.
        recipe: settings of the optimization.
        seed: seed for the order of the structures.
        checkpoint: file from which the fit continues if it exists.
        device: device of the network.
        further: graphs of further files.
    """

    network: torch.nn.Module
    objective: Objective
    train: Sequence[AtomicData]
    valid: Sequence[AtomicData]
    recipe: Recipe
    seed: int
    checkpoint: Path
    device: str = "cpu"
    further: Sequence[Further] = ()

    def __post_init__(self) -> None:
        steps, rate = self.recipe.steps, self.recipe.rate
        parameters = list(self.network.parameters())
        self._optimizer = torch.optim.Adam(parameters, lr=rate, amsgrad=True)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer,
            rate,
            total_steps=steps,
            pct_start=max(0.05, 2.0 / steps),
            final_div_factor=100,
        )
        decay = min(0.99, max(0.5, 1.0 - 20.0 / steps))
        with quiet_third_parties():  # a copy of the network goes through files in memory
            self._average = AveragedModel(
                self.network,
                multi_avg_fn=get_ema_multi_avg_fn(decay),  # type: ignore[no-untyped-call]
            )
        self._random = np.random.default_rng([self.seed, 11])
        self._step = 0
        self._best: dict[str, torch.Tensor] = {}
        self._checks: list[Check] = []

    def run(self, report: ReportStep) -> list[Check]:
        """Train to the end, and return the results of all validations.

        Raises:
            ModelError: the checkpoint cannot be read or written, or the error is not finite.
        """
        self._resume()
        every = max(1, self.recipe.steps // self.recipe.n_checks)
        losses: list[float] = []
        while self._step < self.recipe.steps and not self._has_no_patience:
            losses.append(self._take_step())
            if self._step % every == 0 or self._step == self.recipe.steps:
                self._check(float(np.mean(losses)))
                losses = []
            report(self._step, self._checks[-1].error if self._checks else math.nan)
        self.network.load_state_dict(self._best)
        return self._checks

    @property
    def _has_no_patience(self) -> bool:
        errors, patience = [check.error for check in self._checks], self.recipe.patience
        return (
            bool(errors)
            and patience is not None
            and (len(errors) - 1 - errors.index(min(errors)) >= patience)
        )

    def _take_step(self) -> float:
        loss = self._loss(self.train, self.recipe.batch)
        for graphs, n, weight in self.further:
            loss = loss + weight * self._loss(graphs, n)
        self._optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 10.0)
        self._optimizer.step()
        self._schedule.step()
        self._average.update_parameters(self.network)
        self._step += 1
        return float(loss.detach())

    def _loss(self, graphs: Sequence[AtomicData], n: int) -> torch.Tensor:
        """Return the loss of a random batch."""
        chosen = self._random.choice(len(graphs), min(n, len(graphs)), replace=False)
        return self.objective.loss(
            self.network,
            join([graphs[i] for i in chosen], self.device),
            self._random,
            branches_are_free=self._step >= self.recipe.settling * self.recipe.steps,
        )

    def _check(self, loss: float) -> None:
        average = self._average.module
        squares = [
            self.objective.error(average, join([graph], self.device)) for graph in self.valid
        ]
        error = float(np.sqrt(np.mean(squares)))
        if not math.isfinite(error):
            raise ModelError(
                f"{self.checkpoint.stem}: the error is {error} after {self._step} steps; lower "
                "the learning rate with --rate, and look for structures with wrong labels"
            )
        if not self._checks or error < min(check.error for check in self._checks):
            self._best = copy.deepcopy(average.state_dict())
        self._checks.append(Check(self._step, loss, error))
        self._save()

    def _save(self) -> None:
        state = {
            "step": self._step,
            "network": self.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "schedule": self._schedule.state_dict(),
            "average": self._average.state_dict(),
            "random": self._random.bit_generator.state,
            "best": self._best,
            "checks": [tuple(check) for check in self._checks],
        }
        write_pickle(self.checkpoint, state)

    def _resume(self) -> None:
        if not self.checkpoint.exists():
            return
        try:
            state: dict[str, Any] = torch.load(
                self.checkpoint, map_location=self.device, weights_only=True
            )
            self.network.load_state_dict(state["network"])
            self._optimizer.load_state_dict(state["optimizer"])
            self._schedule.load_state_dict(state["schedule"])
            self._average.load_state_dict(state["average"])
        except Exception as error:  # a damaged file raises anything
            raise ModelError(
                f"{self.checkpoint}: not a checkpoint of this training ({type(error).__name__}); "
                "remove it to start this member again"
            ) from error
        self._random.bit_generator.state = state["random"]
        self._step, self._best = state["step"], state["best"]
        self._checks = [Check(*check) for check in state["checks"]]
