"""`wandb`: runs of a Weights & Biases project; WANDB_MODE=offline writes local files only."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

from ctrbench.trackers._base import TrackedRun, Tracker

PATIENCE_S = 30.0  # for a server that does not answer


class WeightsAndBiases(Tracker):
    """Configuration, summary, curves by impressions, and files as an artifact."""

    module = "wandb"
    package = "wandb"

    def has(self, key: str) -> bool:
        """See `Tracker`; looks for the local files of the run."""
        return any((self.folder / "wandb").glob(f"*run-*-{key}"))

    def log(self, run: TrackedRun) -> None:
        """See `Tracker`."""
        import wandb

        quiet = wandb.Settings(
            silent=True, console="off", x_disable_stats=True, init_timeout=PATIENCE_S
        )
        made = wandb.init(
            project=re.sub(r"[/\\#?%:]", "_", self.project),
            id=run.key,
            name=run.name,
            dir=str(self.folder),
            config=dict(run.settings),
            settings=quiet,
        )
        made.define_metric("curve/*", step_metric="impressions")
        for point in run.curve:
            values = {"curve/loss": point.loss, "curve/auc": point.auc}
            shown = {name: value for name, value in values.items() if value is not None}
            made.log({"impressions": point.impressions, **shown})
        made.summary.update(dict(run.metrics))
        if run.files:
            artifact = wandb.Artifact(run.key, type="table")
            with tempfile.TemporaryDirectory() as folder:
                for name, text in run.files.items():
                    path = Path(folder, name)
                    path.write_text(text, encoding="utf-8")
                    artifact.add_file(str(path), name)
                made.log_artifact(artifact)
        made.finish(exit_code=int(run.failed))
