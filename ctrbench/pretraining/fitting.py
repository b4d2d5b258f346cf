"""The pre-training loop of all methods; it uses only the `pretrain` period."""

from __future__ import annotations

import math
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import nn
from torch.nn.utils import get_total_norm

from ctrbench.arrays import save_tensors
from ctrbench.atomic import atomic_file
from ctrbench.distributed import Processes
from ctrbench.errors import DivergedError, StoreError, first_line
from ctrbench.pretraining.lines import Lines, masked
from ctrbench.pretraining.methods import ItemBatch, PretrainMethod
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import ImageSource
from ctrbench.pretraining.steps import Step, trainable
from ctrbench.seeding import scoped_torch_seed, stream

CURVE_POINTS = 20  # per training
CHECKPOINT = "checkpoint.pt"
SMALLEST_SCALE = 2.0**-24  # of float16 gradients; training has diverged below it

GROWN = "_growth_tracker"  # steps since the last change of the scale of float16 gradients
WEIGHTS = "the weights became infinite or NaN"

StepProgress = Callable[[int, int, float], None]  # receives finished steps, all steps, loss


@dataclass
class Trained:
    """A trained encoder and the layers of the method."""

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
    """Train an encoder, from the last checkpoint if there is one, with identical results.

    Args:
        method: The pre-training method.
        source: The inputs and the network.
        samples: Lines, or (n,) int items, depending on the method.
        titles: The titles of all items, if the method requires them.
        settings: The training settings.
        folder: The folder of the checkpoint.
        progress: Called after every step, by the first process only.

    Raises:
        DivergedError: The loss, the gradient or the weights became infinite or NaN.
        StoreError: The checkpoint cannot be read or written.
    """
    across, device = Processes(), torch.device(settings.device)
    with scoped_torch_seed(settings.seed, "pretrain", "encoder"):
        network = source.network(settings.width).to(device)
    with scoped_torch_seed(settings.seed, "pretrain", "layers"):
        layers = nn.ModuleDict(method.layers(settings.width, titles)).to(device)
    parameters = trainable(network, layers)
    optimizer = torch.optim.Adam(
        parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "float16")
    trained = Trained(network, layers)
    step = Step(method, source, settings, across, network, layers)
    state = _State(trained, optimizer, scaler, folder / CHECKPOINT)
    done, total = state.load(), total_steps(len(samples), settings)
    started, saved = time.monotonic() - trained.seconds, time.monotonic()
    network.train()
    layers.train()
    for number, batch in _batches(samples, settings, across, done):
        optimizer.zero_grad()
        terms = step.gradients(batch, number, scaler)
        loss = sum(terms.values())
        problem = _non_finite(loss, parameters, scaler)
        if not problem:
            scaler.step(optimizer)
            scaler.update()
            if not torch.isfinite(get_total_norm(parameters)):
                problem = WEIGHTS
        if problem:
            message = _diverged(problem, number, total, settings)
            raise DivergedError(f"{message}{state.checkpoint_text() if across.rank == 0 else ''}")
        state.add(number, total, terms)
        trained.seconds = time.monotonic() - started
        if across.rank == 0:
            progress(number + 1, total, loss)
        due = across.rank == 0 and time.monotonic() - saved > settings.checkpoint_s
        if across.total(due):  # all processes stop if the first one cannot save
            across.first(lambda done=number + 1: state.save(done))
            saved = time.monotonic()
    across.first(lambda: state.save(total))
    return trained


def total_steps(samples: int, settings: PretrainSettings) -> int:
    """Return the number of steps of a training; the last batch of an epoch may be smaller.

    Args:
        samples: The number of lines or items.
        settings: The training settings.
    """
    return settings.epochs * -(-samples // settings.batch_size)


def _non_finite(
    loss: float, parameters: list[nn.Parameter], scaler: torch.amp.GradScaler
) -> str | None:
    """Return which value is infinite or NaN before a step, or None; equal in all processes."""
    if not np.isfinite(loss):
        return f"the loss became {loss}"
    if scaler.is_enabled():  # on overflow, the step is skipped and the scale halved
        diverged = scaler.get_scale() < SMALLEST_SCALE
        return "the float16 gradient is infinite or NaN at every scale" if diverged else None
    norm = float(get_total_norm([one.grad for one in parameters if one.grad is not None]))
    return None if np.isfinite(norm) else f"the norm of the gradient became {norm}"


def _diverged(problem: str, number: int, total: int, settings: PretrainSettings) -> str:
    """Return the message for a diverged training: problem, step and remedy."""
    if number == 0 and problem != WEIGHTS:
        remedy = (
            "no step was completed: a setting of the method, such as a very low temperature, or "
            "the initial vectors or weights are too extreme"
        )
    else:
        remedy = (
            f"try a training.learning_rate below {settings.learning_rate:g}, or less extreme "
            "settings of the method, such as a higher temperature"
        )
    return f"{problem} at step {number + 1:,} of {total:,}; {remedy}."


def _batches(
    samples: Lines | np.ndarray, settings: PretrainSettings, across: Processes, done: int
) -> Iterator[tuple[int, Any]]:
    """Yield the batches of this process with their numbers, after the first `done` steps."""
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


class _Facts(BaseModel):
    """The part of a checkpoint that consists of numbers."""

    done: int = Field(ge=0)
    curve: list[dict[str, int | float]]
    since: int = Field(0, ge=0)
    sums: dict[str, float] = {}
    seconds: float


@dataclass
class _State:
    """The state from which a training resumes; the step determines the order of the data."""

    trained: Trained
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    path: Path
    saved: int = 0  # finished steps at the last checkpoint
    since: int = 0  # steps since the last point of the curve
    sums: dict[str, float] = field(default_factory=dict)  # of the terms since the last point

    def add(self, number: int, total: int, terms: dict[str, float]) -> None:
        """Add the terms of a step; append their means to the curve at each of its points."""
        self.since += 1
        self.sums = {name: self.sums.get(name, 0.0) + term for name, term in terms.items()}
        if (number + 1) * CURVE_POINTS // total > number * CURVE_POINTS // total:
            means = {name: value / self.since for name, value in self.sums.items()}
            self.trained.curve.append({"step": number + 1, "loss": sum(means.values()), **means})
            self.since, self.sums = 0, {}

    def checkpoint_text(self) -> str:
        """Return a sentence about the checkpoint of a training that failed."""
        if not self.saved:
            return " No checkpoint exists."
        return (
            f" The checkpoint of step {self.saved:,} remains in {self.path.parent}. The same "
            "settings resume from it and diverge again; other settings start a new training."
        )

    def save(self, done: int) -> None:
        """Write the checkpoint atomically."""
        with atomic_file(self.path) as temporary:
            save_tensors(
                temporary,
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
            )
        self.saved = done

    def load(self) -> int:
        """Load the last checkpoint; return the number of finished steps."""
        if not self.path.exists():
            return 0
        try:
            with zipfile.ZipFile(self.path) as archive:  # torch does not compare the checksums
                if archive.testzip() is not None or any(e.compress_type for e in archive.filelist):
                    raise ValueError("a checksum differs, or a part is compressed")
            stored = torch.load(self.path, weights_only=True)
            self.trained.network.load_state_dict(stored["network"])
            self.trained.layers.load_state_dict(stored["layers"])
            self._load_optimizer(stored["optimizer"]["state"], stored["scaler"])
            parameters = trainable(self.trained.network, self.trained.layers)
            if not torch.isfinite(get_total_norm(parameters)):
                raise ValueError("weights are infinite or NaN")
            facts = _Facts.model_validate(stored)
        except Exception as error:  # unpicklers raise various classes
            raise StoreError(
                f"the checkpoint {self.path} is damaged ({first_line(error)}). Delete it to train "
                "from the start."
            ) from error
        self.trained.curve, self.trained.seconds = facts.curve, facts.seconds
        self.since, self.sums, self.saved = facts.since, facts.sums, facts.done
        return self.saved

    def _load_optimizer(self, moments: dict[int, Any], scale: dict[str, Any]) -> None:
        """Load the state of the optimizer and of the scaler, but not their settings.

        Raises:
            ValueError: The state does not fit the parameters.
        """
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        for parameter, own in self.optimizer.state.items():
            shapes = {name: tuple(values.shape) for name, values in own.items()}
            fitting = dict.fromkeys(("exp_avg", "exp_avg_sq"), tuple(parameter.shape))
            if shapes != {"step": (), **fitting} or not own["step"] >= 0:
                raise ValueError("the state of the optimizer does not fit the network")
            own |= {name: values.to_dense().clone() for name, values in own.items()}
            own["step"] = own["step"].float()
        known = self.scaler.state_dict()
        if known:  # of float16
            kept = {"scale": float(scale["scale"]), GROWN: int(scale[GROWN])}
            if not (0 < kept["scale"] < math.inf and 0 <= kept[GROWN] <= known["growth_interval"]):
                raise ValueError("the scale of gradients is not valid")
            self.scaler.load_state_dict(known | kept)
