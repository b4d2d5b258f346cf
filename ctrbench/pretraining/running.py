"""Trains an encoder, encodes all items and registers the version."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ctrbench import embeddings, impressions
from ctrbench.arrays import blocks
from ctrbench.atomic import HeldError
from ctrbench.distributed import Processes
from ctrbench.embeddings.directions import SHORTEST
from ctrbench.environment import environment
from ctrbench.errors import DataError
from ctrbench.identity import hash_files, hash_json
from ctrbench.locks import lock
from ctrbench.pretraining.fitting import StepProgress, Trained, fit
from ctrbench.pretraining.lines import Lines, make_lines, masked, redundancy
from ctrbench.pretraining.methods import PretrainMethod
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import ImageSource
from ctrbench.printable import counted
from ctrbench.quality import effective_rank
from ctrbench.schema import Impressions, VersionManifest
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

VIEWS_DRAWN_BY = "step, view, item"  # part of the recipe; identifies the random streams
COLLAPSED_RANK = 3.0  # largest effective rank of collapsed vectors
COLLAPSED_COSINE = 0.99  # smallest mean cosine of collapsed vectors
ROUNDING = 1e-10  # variance of unit vectors that differ only by rounding


@dataclass(frozen=True)
class Job:
    """A version to create."""

    dataset: str
    version: str
    method_name: str
    method: PretrainMethod
    settings: PretrainSettings

    def recipe(self, log: Impressions, source: ImageSource) -> dict[str, Any]:
        """Return everything that the vectors depend on.

        Args:
            log: The impressions of the data set.
            source: The inputs and the network.
        """
        period = log.fitting_period
        fitting = embeddings.Fitting(period, impressions.items_in_period(log, period))
        no_effect = {"checkpoint_s"}
        return {
            "method": self.method_name,
            "settings": self.method.model_dump(mode="json"),
            **{
                f"{name}_hash": hash_files(value)
                for name, value in self.method
                if isinstance(value, Path)
            },
            "training": self.settings.model_dump(mode="json", exclude=no_effect),
            "data_hash": log.manifest.content_hash,
            "fit_period": period,
            "fit_hash": fitting.hash,
            **({"views_drawn_by": VIEWS_DRAWN_BY} if self.method.augmented else {}),
            **source.recipe,
        }


def pretrain(
    workspace: Workspace,
    job: Job,
    source: ImageSource,
    progress: StepProgress,
    allow_collapsed: bool = False,
    weights: Path | None = None,
    waiting: Callable[[], None] = lambda: None,
) -> tuple[VersionManifest, bool] | None:
    """Create a version, unless it already exists.

    Args:
        workspace: The workspace.
        job: The version to create.
        source: The inputs and the network.
        progress: Called after every step.
        allow_collapsed: Whether to register collapsed vectors.
        weights: A file for the weights of the encoder; not written if the version already exists.
        waiting: Called before waiting for another process that creates the same vectors.

    Returns:
        The manifest, and whether the version is new; None in all processes except the first.

    Raises:
        ConfigError: The name is invalid or has other content.
        DataError: The `pretrain` period contains nothing to learn from, the method requires titles
            and the items have none, or the vectors collapsed.
        DivergedError: The loss, the gradient or the weights became infinite or NaN.
        StoreError: The workspace cannot be written.
        FirstProcessError: The first process failed; raised in all other processes.
    """
    log, across = impressions.open_impressions(workspace, job.dataset), Processes()
    recipe = job.recipe(log, source)
    key = hash_json(recipe)
    folder = workspace.cache / "pretraining" / key
    with ExitStack() as held:

        def registered() -> VersionManifest | None:
            return embeddings.registered(workspace, log.manifest, job.version, recipe)

        def claim() -> None:
            if registered() is None:
                _lock(held, workspace.cache / "locks" / f"pretraining-{key}.lock", waiting)

        across.first(claim)
        stored = registered()  # another process may have registered it
        if stored is not None:
            return None if across.rank else (stored, False)
        titles = _titles(workspace, log) if job.method.titled else None
        samples = _samples(log, source, job, titles)
        trained = fit(job.method, source, samples, titles, job.settings, folder, progress)
        spread = _Spread(job.settings.width)

        def provenance() -> dict[str, Any]:
            end = {"curve": trained.curve, "seconds": round(trained.seconds, 1)}
            end |= {"processes": across.count, "environment": environment()}
            return recipe | _facts(job, samples) | spread.facts(allow_collapsed) | end

        def register() -> tuple[VersionManifest, bool]:
            if weights is not None:
                source.save(trained.network, weights)
            blocks = spread.accumulated(_encoded(trained, source, job.settings))
            made = embeddings.register(
                workspace, log.manifest, job.version, job.settings.width, blocks, provenance
            )
            shutil.rmtree(folder, ignore_errors=True)
            return made

        return across.first(register)


def _lock(held: ExitStack, path: Path, waiting: Callable[[], None]) -> None:
    """Acquire the lock of a recipe, because its trainings share a checkpoint."""
    try:
        held.enter_context(lock(path, wait=False))
    except HeldError:
        waiting()
        held.enter_context(lock(path))


def _samples(
    log: Impressions, source: ImageSource, job: Job, titles: list[str] | None
) -> Lines | np.ndarray:
    if log.fitting_period != "pretrain":
        raise DataError(
            f"data set {job.dataset!r} has no pretrain period. Vectors that are fitted on train "
            "clicks look better in training than on new data. Import the data set with four "
            "shares, such as time:20/50/10/20."
        )
    if job.method.samples == "lines":
        lines = make_lines(log, source.usable, job.settings.shown, job.settings.history)
        if not lines.clicked.any():
            raise DataError(
                f"the pretrain period of {job.dataset!r} has no click on an item with an image "
                "after another such click, so there is nothing to learn from."
            )
        return lines
    items = source.usable & impressions.items_in_period(log, "pretrain")
    if titles is not None:
        items &= np.array([bool(title.strip()) for title in titles])
    if items.sum() < 2:
        raise DataError(
            f"the pretrain period of {job.dataset!r} has {counted(int(items.sum()), 'item')} with "
            f"an image{' and a title' if titles is not None else ''}; the method requires at least "
            "two."
        )
    return np.flatnonzero(items)


def _titles(workspace: Workspace, log: Impressions) -> list[str]:
    """Return the concatenated text fields of each item; "" for item 0."""
    fields = [f.name for f in log.manifest.fields if f.of == "item" and f.kind == "text"]
    if not fields:
        raise DataError(
            f"data set {log.manifest.name!r} has no titles; import it with a text field of the "
            "items, such as --text title."
        )
    columns = [impressions.item_texts(workspace, log.manifest.name, name) for name in fields]
    return ["", *(" ".join(filter(None, texts)) for texts in zip(*columns, strict=True))]


@torch.no_grad()
def _encoded(
    trained: Trained, source: ImageSource, settings: PretrainSettings
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the vectors of all usable items in blocks."""
    trained.network.eval()
    items = np.flatnonzero(source.usable)
    for rows in blocks(len(items), settings.images_at_once):
        vectors = trained.network(source.inputs(items[rows]).to(settings.device))
        yield items[rows], vectors.float().cpu().numpy()


def _facts(job: Job, samples: Lines | np.ndarray) -> dict[str, Any]:
    if not isinstance(samples, Lines):
        return {"fit_items": len(samples)}
    seen = samples
    if job.settings.random_mask:
        seen = masked(samples, stream(job.settings.seed, "pretrain", "mask", 0))
    return {
        "fit_items": samples.distinct_items(),
        "lines": len(samples),
        "clicks": int(samples.clicked.sum()),
        "sequence_targets": len(samples.target),
        **redundancy(seen),
    }


class _Spread:
    """Accumulates effective rank and mean cosine of the unit vectors."""

    def __init__(self, width: int) -> None:
        self._count, self._sum, self._products = 0, np.zeros(width), np.zeros((width, width))

    def accumulated(
        self, blocks: Iterator[tuple[np.ndarray, np.ndarray]]
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the blocks unchanged and accumulate their statistics.

        Raises:
            DataError: A vector is not finite.
        """
        for item_id, block in blocks:
            vectors = block.astype(np.float64)
            if not np.isfinite(vectors).all():
                raise DataError("vectors contain NaN or infinite numbers; nothing was registered.")
            unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), SHORTEST)
            self._count += len(unit)
            self._sum += unit.sum(axis=0)
            self._products += unit.T @ unit
            yield item_id, block

    def facts(self, allow_collapsed: bool) -> dict[str, Any]:
        """Return effective rank and mean cosine; `collapsed` is added for collapsed vectors.

        Raises:
            DataError: The vectors collapsed, and `allow_collapsed` is False.
        """
        mean = self._sum / self._count
        covariance = self._products / self._count - np.outer(mean, mean)
        rank = effective_rank(covariance) if covariance.trace() > ROUNDING else 0.0
        found: dict[str, Any] = {"effective_rank": rank, "mean_cosine": float(mean @ mean)}
        if rank >= COLLAPSED_RANK and found["mean_cosine"] <= COLLAPSED_COSINE:
            return found
        reason = (
            f"effective rank {rank:.1f} (required: at least {COLLAPSED_RANK:g}), mean cosine "
            f"{found['mean_cosine']:.3f} (required: at most {COLLAPSED_COSINE:g})"
        )
        if not allow_collapsed:
            raise DataError(
                f"the vectors collapsed: {reason}. Nothing was registered. To register them "
                "without training again, repeat the command with --allow-collapsed."
            )
        return found | {"collapsed": reason}
