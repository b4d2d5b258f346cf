"""`mlflow`: runs of an experiment, on the server of MLFLOW_TRACKING_URI or in local files."""

from __future__ import annotations

import os
import re
from functools import cached_property
from time import time
from typing import Any

from ctrbench.trackers._base import TrackedRun, Tracker

KEY = "ctrbench.key"  # the tag that identifies a run
BATCH = 100  # parameters, the smallest limit of the REST interface
PATIENCE = {  # defaults of MLflow wait several minutes for a server that does not answer
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
}


class MLflow(Tracker):
    """Parameters, metrics, curves by impressions, and files as artifacts."""

    module = "mlflow"
    package = "mlflow-skinny"

    def start(self) -> None:
        """See `Tracker`; finds or creates the experiment."""
        super().start()
        self._experiment  # noqa: B018

    def has(self, key: str) -> bool:
        """See `Tracker`."""
        found = self._client.search_runs([self._experiment], f"tags.`{KEY}` = '{key}'")
        return len(found) > 0

    def log(self, run: TrackedRun) -> None:
        """See `Tracker`."""
        from mlflow.entities import Metric, Param

        now = int(1000 * time())
        curve = [
            Metric(f"curve/{name}", value, now, point.impressions)
            for point in run.curve
            for name, value in (("loss", point.loss), ("auc", point.auc))
            if value is not None
        ]
        metrics = [Metric(_name(name), value, now, 0) for name, value in run.metrics.items()]
        settings = [Param(_name(name), str(value)) for name, value in run.settings.items()]
        made = self._client.create_run(self._experiment, tags={KEY: run.key}, run_name=run.name)
        for part in _parts([*metrics, *curve]):
            self._client.log_batch(made.info.run_id, metrics=part)
        for part in _parts(settings):
            self._client.log_batch(made.info.run_id, params=part)
        for name, text in run.files.items():
            self._client.log_text(made.info.run_id, text, name)
        self._client.set_terminated(made.info.run_id, "FAILED" if run.failed else "FINISHED")

    @cached_property
    def _client(self) -> Any:
        import mlflow

        for name, value in PATIENCE.items():
            os.environ.setdefault(name, value)
        if mlflow.is_tracking_uri_set():
            return mlflow.MlflowClient()
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
        return mlflow.MlflowClient(self.folder.as_uri())

    @cached_property
    def _experiment(self) -> str:
        found = self._client.get_experiment_by_name(self.project)
        return found.experiment_id if found else self._client.create_experiment(self.project)


def _name(text: str) -> str:
    """Return a name with the characters that MLflow allows."""
    return re.sub(r"[^\w./ -]", "_", text)


def _parts(values: list[Any]) -> list[list[Any]]:
    return [values[start : start + BATCH] for start in range(0, len(values), BATCH)]
