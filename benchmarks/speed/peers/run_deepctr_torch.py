"""DIN of DeepCTR-Torch, trained from arrays in memory, padded to 50."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import requests
import torch
import torch._dynamo  # before TensorFlow, which the library imports; else a segmentation fault
from _log import LONGEST, read_categories, read_period
from _run import (
    ATTENTION,
    BATCH,
    EMBEDDING_STD,
    LEARNING_RATE,
    TOP,
    WIDTH,
    Clock,
    Task,
    prepared,
    report,
    task_from_arguments,
)


def main() -> None:
    """Train one epoch, predict the test period, and print the measurements."""
    clock = Clock()
    task = task_from_arguments("deepctr-torch")
    folder, prepare_s = prepared(task, clock, prepare)
    inputs = read_inputs(folder, "train")
    click = inputs.pop("click")
    model = build(folder, task.seed)
    model.compile(torch.optim.Adam(model.parameters(), LEARNING_RATE), "binary_crossentropy")
    clock.mark_first_batch(model)
    model.fit(inputs, click, batch_size=BATCH, epochs=1, verbose=0, shuffle=True)
    clock.mark("trained")
    inputs = read_inputs(folder, "test")
    del inputs["click"]
    report(task, clock, prepare_s, model, model.predict(inputs, BATCH)[:, 0])


def prepare(task: Task, folder: Path) -> None:
    """Store arrays with histories padded at the end, as in the library's DIN example.

    Args:
        task: The run.
        folder: The folder of the prepared files.
    """
    categories = read_categories(task.log)
    for period, rows in (("train", task.rows), ("test", None)):
        part = read_period(task.log, period, rows)
        np.savez(
            folder / f"{period}.npz",
            item_id=part.item_id.astype(np.float32),  # the model converts all inputs to float32
            category=categories[part.item_id].astype(np.float32),
            hist_item_id=part.padded(part.items).astype(np.float32),
            hist_category=part.padded(categories[part.items]).astype(np.float32),
            seq_length=np.diff(part.offsets).astype(np.float32),
            click=part.click.astype(np.float32),
        )
    np.save(folder / "vocabulary.npy", [len(categories), categories.max() + 1])


def read_inputs(folder: Path, period: str) -> dict[str, np.ndarray]:
    """Return the arrays of a period by feature name.

    Args:
        folder: The folder of the prepared files.
        period: `train` or `test`.
    """
    with np.load(folder / f"{period}.npz") as arrays:
        return dict(arrays)


def build(folder: Path, seed: int) -> torch.nn.Module:
    """Return the model; history items share the tables of the target.

    Args:
        folder: The folder of the prepared files.
        seed: The seed of the initial weights.
    """
    requests.get = _offline  # the import queries a registry for newer versions
    from deepctr_torch.inputs import SparseFeat, VarLenSparseFeat
    from deepctr_torch.models import DIN

    items, categories = np.load(folder / "vocabulary.npy").tolist()
    target = [SparseFeat("item_id", items, WIDTH), SparseFeat("category", categories, WIDTH)]
    history = [
        VarLenSparseFeat(
            SparseFeat(f"hist_{field.name}", *field[1:3], embedding_name=field.name),
            maxlen=LONGEST,
            length_name="seq_length",
        )
        for field in target
    ]
    return DIN(
        target + history,
        ["item_id", "category"],
        dnn_hidden_units=TOP,
        att_hidden_size=ATTENTION,
        att_activation="Dice",
        att_weight_normalization=False,
        l2_reg_embedding=0,
        init_std=EMBEDDING_STD,
        seed=seed,
    )


def _offline(*_: object, **__: object) -> None:
    raise requests.ConnectionError


if __name__ == "__main__":
    main()
