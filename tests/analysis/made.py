"""A hand-made matrix: two versions, one shuffled control, two columns, three seeds."""

from typing import Any

from ctrbench.analysis import TablePlan
from ctrbench.injection import load_mode
from ctrbench.plan import Column, Row
from ctrbench.schema import Cell, CellRecord, Control, DatasetManifest, Metrics, Split
from ctrbench.settings import TrainingSettings
from ctrbench.slices import Slice

DRAMA = Slice(field="genres", value="Drama")
SHUFFLED = Control(kind="shuffled")
BASELINE = (0.600, 0.610, 0.590)  # GAUC by seed


def manifest(**changes: Any) -> DatasetManifest:
    values = {
        "name": "films",
        "importer": "movielens",
        "label": "rating >= 4",
        "split": Split(kind="per_user", shares=(0.2, 0.5, 0.1, 0.2)),
        "periods": {
            "pretrain": (0, 2000),
            "train": (2000, 7000),
            "valid": (7000, 8000),
            "test": (8000, 10000),
        },
        "history": "derived",
        "snapshot": "period",
        "has_timestamp": True,
        "has_weight": False,
        "has_images": True,
        "fields": (),
        "counts": {"impressions": 10000, "users": 500, "items": 300},
        "notes": ("The split leaks future popularity.",),
        "content_hash": "d0",
        "items_hash": "i0",
        "created": "2020-01-01T00:00:00Z",
        "ctrbench_version": "0.1.0",
    }
    return DatasetManifest.model_validate({**values, **changes})


def metrics(gauc: float | None, **changes: Any) -> Metrics:
    values = {
        "impressions": 2000,
        "clicks": 900,
        "users": 400,
        "evaluable_users": 300,
        "evaluable_impressions": 1900,
        "auc": None if gauc is None else gauc + 0.1,
        "gauc": gauc,
        "gauc_clicks": gauc,
        "gauc_users": gauc,
        "log_loss": 0.65,
        "predicted_over_observed": 1.0,
    }
    return Metrics.model_validate({**values, **changes})


def record(
    label: str, seed: int, gauc: float | None, failed: str = "", **changes: Any
) -> CellRecord:
    """Return a cell with a name such as `raw / vector`; its hash is the name and the seed."""
    row, _, column = label.partition(" / ")
    version, _, control = row.partition("@")
    cell = Cell(
        dataset="films",
        data_hash="d0",
        version=None if label == "Baseline" else version,
        vectors_hash=None,
        control=SHUFFLED if control else None,
        mode=column or "none",
        mode_revision=1,
        mode_settings={},
        model={"embedding_size": 16},
        training={"learning_rate": 0.001},
        seed=seed,
        protocol=1,
    )
    values: dict[str, Any] = {"environment": {"torch": "2.6.0"}}
    if not failed:
        values["metrics"] = {"test": metrics(gauc)}
        values["slices"] = {DRAMA.key: metrics(gauc, impressions=700)}
    return CellRecord(
        hash=f"{label}#{seed}",
        cell=cell,
        status="failed" if failed else "done",
        reason=failed,
        **{**values, **changes},
    )


def by_hash(*records: CellRecord) -> dict[str, CellRecord]:
    return {record.hash: record for record in records}


def baseline(**changes: Any) -> dict[str, CellRecord]:
    return by_hash(*(record("Baseline", s, v, **changes) for s, v in enumerate(BASELINE)))


def arm(label: str, deltas_pp: tuple[float, ...], **changes: Any) -> dict[str, CellRecord]:
    """Return one record per seed, each above the baseline of its seed by the given difference."""
    pairs = enumerate(zip(BASELINE, deltas_pp, strict=False))
    return by_hash(*(record(label, s, v + d / 100, **changes) for s, (v, d) in pairs))


def row(name: str) -> Row:
    """Return the row of a label such as `raw` or `raw@shuffled`."""
    version, _, control = name.partition("@")
    return Row(version, Control(kind=control) if control else None)


def column(label: str, trained: str = "", **training: Any) -> Column:
    """Return the column of a label, a mode with its settings."""
    name = label.partition(" ")[0]
    return Column(name, load_mode(name, {}), label, TrainingSettings(**training), trained)


def plan(**changes: Any) -> TablePlan:
    seeds = changes.get("seeds", (0, 1, 2))
    rows = changes.get("rows", (row("raw"), row("raw@shuffled"), row("pca_64")))
    columns = changes.get("columns", (column("vector"), column("cluster_id codebook_size=200")))
    values: dict[str, Any] = {
        "dataset": manifest(),
        "headline": "gauc",
        "columns": columns,
        "rows": rows,
        "seeds": seeds,
        "cells": {
            (row, column, seed): f"{row.label} / {column.label}#{seed}"
            for row in rows
            for column in columns
            for seed in seeds
        },
        "baselines": {"": {seed: f"Baseline#{seed}" for seed in seeds}},
    }
    return TablePlan(**{**values, **changes})
