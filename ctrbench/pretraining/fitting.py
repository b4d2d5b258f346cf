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

from ctrbench.atomic import atomic_file
from ctrbench.distributed import Processes
from ctrbench.errors import CtrBenchError, StoreError
from ctrbench.pretrain import ItemBatch, PretrainMethod
from ctrbench.pretraining.lines import Lines, masked
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import Source
from ctrbench.pretraining.steps import Step, learned
from ctrbench.seeding import scoped_torch_seed, stream

CURVE_POINTS = 20  # of a training
CHECKPOINT = "checkpoint.pt"

Progress = Callable[[int, int, float], None]  # steps done, steps in all, loss


class DivergedError(CtrBenchError):
    """The loss is no longer a number; the last good checkpoint stays."""


@dataclass
class Trained:
    """An encoder and what was learned beside it."""

    network: nn.Module
    layers: nn.ModuleDict
    curve: list[dict[str, float]] = field(default_factory=list)
    seconds: float = 0.0


def fit(
    method: PretrainMethod,
    source: Source,
    samples: Lines | np.ndarray,
    titles: list[str] | None,
    settings: PretrainSettings,
    folder: Path,
    progress: Progress,
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
        DivergedError: the loss became infinite or NaN.
        StoreError: the checkpoint cannot be read or written.
    """
    across, device = Processes(), torch.device(settings.device)
    with scoped_torch_seed(settings.seed, "pretrain", "encoder"):
        network = source.network(settings.width).to(device)
    with scoped_torch_seed(settings.seed, "pretrain", "layers"):
        layers = nn.ModuleDict(method.layers(settings.width, titles)).to(device)
    optimizer = torch.optim.Adam(
        learned(network, layers), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
    trained = Trained(network, layers)
    step = Step(method, source, settings, across, network, layers)
    state = _State(trained, optimizer, scaler, folder / CHECKPOINT)
    done, total = state.load(), steps_in_all(len(samples), settings)
    sums: dict[str, float] = {}
    since, started, saved = 0, time.monotonic() - trained.seconds, time.monotonic()
    network.train()
    layers.train()
    for number, batch in _batches(samples, settings, across, done):
        optimizer.zero_grad()
        terms = step.gradients(batch, number, scaler)
        loss = sum(terms.values())
        if not np.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at step {number + 1} of {total}; lower learning_rate. "
                f"The last checkpoint, of step {done}, is kept in {folder}."
            )
        scaler.step(optimizer)
        scaler.update()
        since += 1
        sums = {name: sums.get(name, 0.0) + term for name, term in terms.items()}
        if (number + 1) * CURVE_POINTS // total > number * CURVE_POINTS // total:
            means = {name: value / since for name, value in sums.items()}
            trained.curve.append({"step": number + 1, "loss": sum(means.values()), **means})
            sums, since = {}, 0
        trained.seconds = time.monotonic() - started
        if across.rank == 0:
            progress(number + 1, total, loss)
            if time.monotonic() - saved > settings.checkpoint_s and not since:
                state.save(number + 1)
                done, saved = number + 1, time.monotonic()
    if across.rank == 0:
        state.save(total)
    return trained


def steps_in_all(samples: int, settings: PretrainSettings) -> int:
    """Of a training; the last batch of an epoch may be smaller."""
    return settings.epochs * -(-samples // settings.batch_size)


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
                    "seconds": self.trained.seconds,
                },
                temporary,
            )

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
        except (pickle.UnpicklingError, RuntimeError, KeyError, ValueError, EOFError) as error:
            raise StoreError(f"the checkpoint {self.path} is damaged; delete it.") from error
        self.trained.curve, self.trained.seconds = kept["curve"], kept["seconds"]
        return kept["done"]
