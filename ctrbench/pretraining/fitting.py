"""The pre-training loop: the same for every method, on the `pretrain` period only."""

from __future__ import annotations

import pickle
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import get_total_norm

from ctrbench.atomic import atomic_file
from ctrbench.distributed import Processes
from ctrbench.errors import DivergedError, StoreError
from ctrbench.pretraining.lines import Lines, masked
from ctrbench.pretraining.methods import ItemBatch, PretrainMethod
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import ImageSource
from ctrbench.pretraining.steps import Step, learned
from ctrbench.seeding import scoped_torch_seed, stream

CURVE_POINTS = 20  # of a training
CHECKPOINT = "checkpoint.pt"
LEAST_SCALE = 2.0**-24  # of float16 gradients: where every scale overflows, they are no numbers

WEIGHTS = "the weights became infinite or NaN"

StepProgress = Callable[[int, int, float], None]  # told the steps done, steps in all, loss


@dataclass
class Trained:
    """An encoder and what was learned beside it."""

    network: nn.Module
    layers: nn.ModuleDict
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def fit(
    method: PretrainMethod,
    source: ImageSource,
    samples: Lines | np.ndarray,
    titles: list[str] | None,
    settings: PretrainSettings,
    folder: Path,
    progress: StepProgress,
) -> Trained:
    """Train, from the last checkpoint where there is one; with or without, to the same end.

    Args:
        method: what is learned.
        source: what is encoded, and by what.
        samples: lines, or (n,) items, as the method asks.
        titles: of the items, where the method asks for them.
        settings: sizes and choices.
        folder: of the checkpoint.
        progress: told after every step, by the first process alone.

    Raises:
        DivergedError: the loss, the gradient or the weights became infinite or NaN.
        StoreError: the checkpoint cannot be read or written.
    """
    across, device = Processes(), torch.device(settings.device)
    with scoped_torch_seed(settings.seed, "pretrain", "encoder"):
        network = source.network(settings.width).to(device)
    with scoped_torch_seed(settings.seed, "pretrain", "layers"):
        layers = nn.ModuleDict(method.layers(settings.width, titles)).to(device)
    parameters = learned(network, layers)
    optimizer = torch.optim.Adam(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
    trained = Trained(network, layers)
    step = Step(method, source, settings, across, network, layers)
    state = _State(trained, optimizer, scaler, folder / CHECKPOINT)
    done, total = state.load(), steps_in_all(len(samples), settings)
    started, saved = time.monotonic() - trained.seconds, time.monotonic()
    network.train()
    layers.train()
    for number, batch in _batches(samples, settings, across, done):
        optimizer.zero_grad()
        terms = step.gradients(batch, number, scaler)
        loss = sum(terms.values())
        problem = _no_numbers(loss, parameters, scaler)
        if not problem:
            scaler.step(optimizer)
            scaler.update()
            if not torch.isfinite(get_total_norm(parameters)):
                problem = WEIGHTS
        if problem:
            told = _told(problem, number, total, settings)
            raise DivergedError(f"{told}{state.kept() if across.rank == 0 else ''}")
        state.add(number, total, terms)
        trained.seconds = time.monotonic() - started
        if across.rank == 0:
            progress(number + 1, total, loss)
            if time.monotonic() - saved > settings.checkpoint_s:
                state.save(number + 1)
                saved = time.monotonic()
    if across.rank == 0:
        state.save(total)
    return trained


def steps_in_all(samples: int, settings: PretrainSettings) -> int:
    """Of a training; the last batch of an epoch may be smaller."""
    return settings.epochs * -(-samples // settings.batch_size)


def _no_numbers(
    loss: float, parameters: list[nn.Parameter], scaler: torch.amp.GradScaler
) -> str | None:
    """What is infinite or NaN before a step is made; the same in all processes."""
    if not np.isfinite(loss):
        return f"the loss became {loss}"
    if scaler.is_enabled():  # a scale may overflow: the step is left out, the scale halved
        lost = scaler.get_scale() < LEAST_SCALE
        return "the float16 gradient is infinite or NaN at every scale" if lost else None
    norm = float(get_total_norm([one.grad for one in parameters if one.grad is not None]))
    return None if np.isfinite(norm) else f"the length of the gradient became {norm}"


def _told(problem: str, number: int, total: int, settings: PretrainSettings) -> str:
    """Where training diverged, and what to change."""
    if number == 0 and problem != WEIGHTS:
        cure = (
            "nothing was learned yet: a setting of the method (a temperature far too low?) or the "
            "vectors or weights that it starts from are too extreme"
        )
    else:
        cure = (
            f"try a training.learning_rate below {settings.learning_rate:g}, or milder settings of "
            "the method, such as a higher temperature"
        )
    return f"{problem} at step {number + 1:,} of {total:,}; {cure}."


def _batches(
    samples: Lines | np.ndarray, settings: PretrainSettings, across: Processes, done: int
) -> Iterator[tuple[int, Any]]:
    """This process's batches with their numbers, from the first that is not done."""
    size, seed = settings.batch_size, settings.seed
    per_epoch = -(-len(samples) // size)
    for epoch in range(done // per_epoch, settings.epochs):
        order = stream(seed, "pretrain", "order", epoch).permutation(len(samples))
        seen = samples
        if settings.random_mask and isinstance(samples, Lines):
            seen = masked(samples, stream(seed, "pretrain", "mask", epoch))
        for place in range(per_epoch):
            number = epoch * per_epoch + place
            chosen = np.sort(order[place * size : (place + 1) * size][across.rank :: across.count])
            if number >= done:
                yield (
                    number,
                    seen.batch(chosen) if isinstance(seen, Lines) else ItemBatch(seen[chosen]),
                )


@dataclass
class _State:
    """All that a training needs to go on; the order of its data follows from its step."""

    trained: Trained
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    path: Path
    saved: int = 0  # steps done at the last checkpoint
    since: int = 0  # steps since the last point of the curve
    sums: dict[str, float] = field(default_factory=dict)  # of the terms since then

    def add(self, number: int, total: int, terms: dict[str, float]) -> None:
        """Count a step's terms; every twentieth of the training their means become a point."""
        self.since += 1
        self.sums = {name: self.sums.get(name, 0.0) + term for name, term in terms.items()}
        if (number + 1) * CURVE_POINTS // total > number * CURVE_POINTS // total:
            means = {name: value / self.since for name, value in self.sums.items()}
            self.trained.curve.append({"step": number + 1, "loss": sum(means.values()), **means})
            self.since, self.sums = 0, {}

    def kept(self) -> str:
        """What is left of a training that cannot go on."""
        if not self.saved:
            return " No checkpoint was saved yet."
        return (
            f" The checkpoint of step {self.saved:,} is kept in {self.path.parent}; it is of these "
            "settings, which will diverge again from there, and others start anew."
        )

    def save(self, done: int) -> None:
        """Write it, whole or not at all."""
        with atomic_file(self.path) as temporary:
            torch.save(
                {
                    "done": done,
                    "network": self.trained.network.state_dict(),
                    "layers": self.trained.layers.state_dict(),
                    "optimizer": self.optimizer.state_dict(),
                    "scaler": self.scaler.state_dict(),
                    "curve": self.trained.curve,
                    "since": self.since,
                    "sums": self.sums,
                    "seconds": self.trained.seconds,
                },
                temporary,
            )
        self.saved = done

    def load(self) -> int:
        """Take up the last checkpoint; returns how many steps were done."""
        if not self.path.exists():
            return 0
        try:
            kept = torch.load(self.path, weights_only=True)
            self.trained.network.load_state_dict(kept["network"])
            self.trained.layers.load_state_dict(kept["layers"])
            self.optimizer.load_state_dict(kept["optimizer"])
            self.scaler.load_state_dict(kept["scaler"])
            parameters = learned(self.trained.network, self.trained.layers)
            if not torch.isfinite(get_total_norm(parameters)):
                raise ValueError("weights that are no numbers")
        except (pickle.UnpicklingError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise StoreError(f"the checkpoint {self.path} is damaged; delete it.") from error
        self.trained.curve, self.trained.seconds = kept["curve"], kept["seconds"]
        self.since, self.sums = kept.get("since", 0), kept.get("sums", {})
        self.saved = kept["done"]
        return self.saved
