"""`tensorboard`: event files, one folder per run."""

from __future__ import annotations

import re
from pathlib import Path

from ctrbench.trackers._base import TrackedRun, Tracker


class TensorBoard(Tracker):
    """Scalars, hyperparameters, and text files as Markdown."""

    module = "tensorboard"
    package = "tensorboard"

    def has(self, key: str) -> bool:
        """See `Tracker`."""
        return any(self._runs.glob(f"*-{key}"))

    def log(self, run: TrackedRun) -> None:
        """See `Tracker`."""
        from torch.utils.tensorboard import SummaryWriter

        name = re.sub(r"[^\w.@=-]+", "_", run.name)
        with SummaryWriter(self._runs / f"{name}-{run.key}") as writer:
            for point in run.curve:
                writer.add_scalar("curve/loss", point.loss, point.impressions)
                if point.auc is not None:
                    writer.add_scalar("curve/auc", point.auc, point.impressions)
            for tag, text in run.files.items():
                writer.add_text(tag, text if tag.endswith(".md") else _indented(text))
            if run.settings or run.metrics:
                writer.add_hparams(dict(run.settings), dict(run.metrics), run_name=".")

    @property
    def _runs(self) -> Path:
        return self.folder / self.project


def _indented(text: str) -> str:
    """Return the text as a code block of Markdown."""
    return "".join(f"    {line}\n" for line in text.splitlines())
