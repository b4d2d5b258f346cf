"""DIN of RecBole, trained from atomic files with given histories and saved data loaders."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import torch
from _log import read_categories, read_period
from _run import (
    ATTENTION,
    BATCH,
    LEARNING_RATE,
    TOP,
    WIDTH,
    Clock,
    Task,
    prepared,
    report,
    task_from_arguments,
)
from recbole.config import Config
from recbole.data import create_dataset, data_preparation
from recbole.data.dataloader import AbstractDataLoader
from recbole.data.dataset import SequentialDataset
from recbole.model.layers import MLPLayers, SequenceAttLayer
from recbole.model.sequential_recommender.din import DIN
from recbole.trainer import Trainer
from recbole.utils import init_seed
from torch import nn

PERIODS = ["train", "valid", "test"]  # the library requires all three


class SizedDIN(DIN):
    """The library's DIN with the sizes of the comparison; its one setting applies to both MLPs."""

    def __init__(self, config: Config, dataset: SequentialDataset) -> None:
        """Build the model, then replace its layers by layers of the required sizes.

        Args:
            config: The library's settings.
            dataset: The library's data set.
        """
        super().__init__(config, dataset)
        items = self.att_list[0] // 4  # width of the item input: id and category
        slots = torch.arange(dataset.field2seqlen[self.ITEM_SEQ])[None]
        self.attention = SequenceAttLayer(
            slots,
            [4 * items, *ATTENTION],
            activation="Dice",
            softmax_stag=False,
            return_seq_weight=False,
        )
        self.dnn_mlp_layers = MLPLayers([3 * items, *TOP], activation="relu", bn=False)
        self.dnn_predict_layers = nn.Linear(TOP[-1], 1)
        self.apply(self._init_weights)


def main() -> None:
    """Train one epoch, predict the test period, and print the measurements."""
    clock = Clock()
    task = task_from_arguments("recbole")
    folder, prepare_s = prepared(task, clock, prepare)
    config = configure(folder)
    train, _, test = read_loaders(folder, task.seed)
    init_seed(task.seed, reproducibility=True)
    model = SizedDIN(config, train.dataset)
    clock.mark_first_batch(model.attention)
    Trainer(config, model).fit(train, verbose=False, saved=False)
    clock.mark("trained")
    model.eval()
    with torch.no_grad():
        p_click = torch.cat([model.predict(batch) for batch, *_ in test])
    report(task, clock, prepare_s, model, p_click.numpy())


def prepare(task: Task, folder: Path) -> None:
    """Write the atomic files; the library reads, encodes, pads and saves them.

    Args:
        task: The run.
        folder: The folder of the prepared files.
    """
    files = folder / "log"
    files.mkdir()
    write_items(task.log, files)
    for period in PERIODS:
        write_impressions(task, period, files)
    config = configure(folder)
    data_preparation(config, create_dataset(config))


def configure(folder: Path) -> Config:
    """Return the library's settings; change the current folder, to which the library writes."""
    os.chdir(folder)
    sys.argv[1:] = []  # the library also reads settings from here
    config = Config(
        model="DIN",
        dataset="log",
        config_dict={
            "data_path": ".",
            "load_col": {
                "inter": ["user_id", "item_id", "label", "item_id_list"],
                "item": ["item_id", "category"],
            },
            "alias_of_item_id": ["item_id_list"],
            "benchmark_filename": PERIODS,
            "save_dataloaders": True,
            "train_neg_sample_args": None,
            "eval_args": {"order": "TO", "mode": "labeled"},
            "metrics": ["AUC"],
            "valid_metric": "AUC",
            "embedding_size": WIDTH,
            "learning_rate": LEARNING_RATE,
            "train_batch_size": BATCH,
            "eval_batch_size": BATCH,
            "epochs": 1,
            "use_gpu": False,
            "show_progress": False,
        },
    )
    logging.getLogger().setLevel(logging.WARNING)
    return config


def read_loaders(folder: Path, seed: int) -> list[AbstractDataLoader]:
    """Return the saved loaders; the library's reader fails on loaders without sampling.

    Args:
        folder: The folder of the prepared files.
        seed: The seed of the shuffling.
    """
    with (folder / "saved" / "log-for-DIN-dataloader.pth").open("rb") as file:
        loaders = [loader for loader, _ in pickle.load(file)]
    for loader in loaders:
        loader.generator = loader.sampler.generator = torch.Generator().manual_seed(seed)
    return loaders


def write_items(log: Path, files: Path) -> None:
    """Write the item file: id and category.

    Args:
        log: The folder of the log.
        files: The folder of the atomic files.
    """
    categories = read_categories(log)
    item_id = np.flatnonzero(categories)
    columns = {"item_id:token": item_id, "category:token": categories[item_id]}
    _write_tabbed(pa.table(columns), files / "log.item")


def write_impressions(task: Task, period: str, files: Path) -> None:
    """Write the interactions of a period; blanks separate the ids of a history.

    Args:
        task: The run.
        period: `train`, `valid` or `test`.
        files: The folder of the atomic files.
    """
    rows = task.rows if period == "train" else None
    part = read_period(task.log, period, rows)
    ids = part.items.astype(str)
    histories = [" ".join(ids[a:b]) for a, b in zip(part.offsets, part.offsets[1:], strict=False)]
    columns = {
        "user_id:token": np.ones(len(part.item_id), np.int64),  # one user, which is ignored
        "item_id:token": part.item_id,
        "label:float": part.click,
        "item_id_list:token_seq": histories,
    }
    _write_tabbed(pa.table(columns), files / f"log.{period}.inter")


def _write_tabbed(table: pa.Table, file: Path) -> None:
    file.write_text("\t".join(table.column_names) + "\n")
    options = pa_csv.WriteOptions(include_header=False, delimiter="\t", quoting_style="none")
    with file.open("ab") as sink:
        pa_csv.write_csv(table, sink, options)


if __name__ == "__main__":
    main()
