"""Learning rate, averaged weights and elapsed time: what all stages share."""

from __future__ import annotations

import math
import random
import time
from dataclasses import dataclass
from typing import Any

import lightning
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


@dataclass(frozen=True)
class Budget:
    """When training ends and how the learning rate gets there.

    Parameters
    ----------
    max_steps : int
    max_seconds : float
        Whichever of the two is reached first; the cosine follows the nearer one.
    learning_rate : float
    warmup_steps : int
    weight_decay : float
    ema_decay : float
    """

    max_steps: int
    max_seconds: float = math.inf
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    weight_decay: float = 1e-4
    ema_decay: float = 0.999


class ScheduledModule(lightning.LightningModule):
    """A module with AdamW, cosine by step or clock, and exponentially averaged weights."""

    def __init__(self, budget: Budget) -> None:
        super().__init__()
        self.budget = budget
        self._spent_before = 0.0
        self._started: float | None = None
        self.steps_taken = 0
        self._random_state: Any = None
        self.averages = nn.ModuleDict()

    def track(self, **networks: nn.Module) -> None:
        """Keep averaged copies of these networks, under the names given."""
        for name, network in networks.items():
            average = AveragedModel(
                network, multi_avg_fn=get_ema_multi_avg_fn(self.budget.ema_decay)
            )
            average.requires_grad_(False)
            self.averages[name] = average

    @property
    def seconds(self) -> float:
        """Training time so far, earlier runs included."""
        running = 0.0 if self._started is None else time.monotonic() - self._started
        return self._spent_before + running

    @property
    def progress(self) -> float:
        """Share of the budget that is used, 0 to 1."""
        by_step = self.steps_taken / self.budget.max_steps
        return min(1.0, max(by_step, self.seconds / self.budget.max_seconds))

    def learning_rate_scale(self) -> float:
        """Warm-up, then half a cosine down to 1 %."""
        warm = min(1.0, (self.steps_taken + 1) / max(1, self.budget.warmup_steps))
        return warm * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * self.progress)))

    def on_train_start(self) -> None:
        self._started = time.monotonic()
        if self._random_state is not None:  # a resumed run draws what it would have drawn
            random.setstate(self._random_state[0])
            torch.set_rng_state(self._random_state[1])

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> int | None:
        if self.progress >= 1.0:
            self.trainer.should_stop = True
            return -1  # Lightning's word for leaving the rest of an epoch
        scale = self.learning_rate_scale()
        optimizers = self.optimizers()
        for optimizer in optimizers if isinstance(optimizers, list) else [optimizers]:
            for group in optimizer.param_groups:
                group["lr"] = group["initial_lr"] * scale
        return None

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        self.step_taken()

    def step_taken(self) -> None:
        """Count the step and update the averages, before any checkpoint is written."""
        self.steps_taken += 1
        for name, average in self.averages.items():
            average.update_parameters(getattr(self, name))

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        checkpoint["training_seconds"] = self.seconds
        checkpoint["steps_taken"] = self.steps_taken
        checkpoint["random_state"] = (random.getstate(), torch.get_rng_state())

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._spent_before = float(checkpoint.get("training_seconds", 0.0))
        self.steps_taken = int(checkpoint.get("steps_taken", 0))
        self._random_state = checkpoint.get("random_state")

    def adamw(self, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        """AdamW over parameter groups that each state their own `lr`."""
        for group in groups:
            group["initial_lr"] = group["lr"]
        return torch.optim.AdamW(groups, weight_decay=self.budget.weight_decay, betas=(0.9, 0.99))


class OneNetwork(ScheduledModule):
    """Trains one network, whose single steps are held back to a largest gradient.

    Parameters
    ----------
    network : nn.Module
    budget : Budget
    largest_gradient : float
        Norm over all parameters.
    """

    def __init__(self, network: nn.Module, budget: Budget, largest_gradient: float) -> None:
        super().__init__(budget)
        self.network = network
        self._largest_gradient = largest_gradient
        self.track(network=network)

    def on_before_optimizer_step(self, _: torch.optim.Optimizer) -> None:
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), self._largest_gradient)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        rate = self.budget.learning_rate
        return self.adamw([{"params": list(self.network.parameters()), "lr": rate}])
