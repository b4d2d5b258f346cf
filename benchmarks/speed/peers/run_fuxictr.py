"""DIN from the layers of FuxiCTR, as in its model zoo, with its features and its loader."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import ray
import torch
from _log import LONGEST, Period, number_names, read_categories, read_period
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
from fuxictr.features import FeatureMap
from fuxictr.preprocess import FeatureProcessor, build_dataset
from fuxictr.pytorch.dataloaders.npz_dataloader import NpzDataLoader
from fuxictr.pytorch.layers import DIN_Attention, FeatureEmbeddingDict, MLP_Block
from fuxictr.pytorch.layers.activations import Dice
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything

CLUSTERS = 200
PLAIN = {"item_id": "history", "category": "history_category"}  # target field: history field
FIELDS = {
    "none": PLAIN,
    "vector": PLAIN | {"vector": "history_vector"},
    "cluster_id": PLAIN | {"cluster": "history_cluster"},
}


class DIN(BaseModel):
    """Target attention over all item fields together, then an MLP."""

    def __init__(
        self, feature_map: FeatureMap, fields: dict[str, str], numbers: list[str], folder: Path
    ) -> None:
        """Build and initialise the model.

        Args:
            feature_map: The library's description of the features.
            fields: History field by target field.
            numbers: The numeric fields.
            folder: The folder of the checkpoint that `fit` loads.
        """
        super().__init__(
            feature_map, model_id="din", verbose=0, model_root=str(folder), metrics=["AUC"]
        )
        self.fields, self.numbers = fields, numbers
        self.embedding = FeatureEmbeddingDict(
            feature_map,
            WIDTH,
            embedding_initializer=f"partial(nn.init.normal_, std={EMBEDDING_STD})",
        )
        items = WIDTH * len(fields)
        self.attention = DIN_Attention(items, ATTENTION, hidden_activations="Dice")
        self.top = MLP_Block(
            2 * items + WIDTH * len(numbers),
            TOP,
            hidden_activations=[Dice(units) for units in TOP],
            output_dim=1,
            output_activation=self.output_activation,
        )
        self.compile("adam", "binary_crossentropy", LEARNING_RATE)
        self.reset_parameters()
        for name in numbers:  # the default (Glorot) has 34 times this deviation
            layer = self.embedding.embedding_layers[name]
            torch.nn.init.normal_(layer.weight, std=EMBEDDING_STD)

    def forward(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Return `y_pred` of a batch, (B, 1)."""
        codes = self.get_inputs(inputs)
        embedded = self.embedding(codes)
        target = torch.cat([embedded[field] for field in self.fields], dim=-1)
        history = torch.cat([embedded[field] for field in self.fields.values()], dim=-1)
        clicked = self.attention(target, history, codes["history"] != 0)
        numbers = [embedded[name] for name in self.numbers]
        return {"y_pred": self.top(torch.cat([*numbers, target, clicked], dim=-1))}

    def eval_step(self) -> None:
        """Save the weights; one epoch requires no validation."""
        self.save_weights(self.checkpoint)


def main() -> None:
    """Train one epoch, predict the test period, and print the measurements."""
    clock = Clock()
    task = task_from_arguments("fuxictr", tuple(FIELDS))
    folder, prepare_s = prepared(task, clock, prepare)
    seed_everything(task.seed)
    feature_map = FeatureMap("data", str(folder / "data"))
    feature_map.load(str(folder / "data" / "feature_map.json"), {"embedding_dim": WIDTH})
    model = DIN(feature_map, FIELDS[task.arm], number_names(task.log), folder)
    train = loader(feature_map, folder, "train")
    clock.mark_first_batch(model.attention)
    model.fit(train, epochs=1)
    clock.mark("trained")
    p_click = model.predict(loader(feature_map, folder, "test"))
    report(task, clock, prepare_s, model, p_click)


def loader(feature_map: FeatureMap, folder: Path, period: str) -> NpzDataLoader:
    """Return the fastest loader of the library: arrays in memory, no worker process.

    Args:
        feature_map: The library's description of the features.
        folder: The folder of the prepared files.
        period: `train` or `test`.
    """
    return NpzDataLoader(
        feature_map,
        str(folder / "data" / f"{period}.npz"),
        batch_size=BATCH,
        shuffle=period == "train",
        num_workers=0,
    )


def prepare(task: Task, folder: Path) -> None:
    """Write the log in the library's format, encode ids with the library, and store arrays.

    Args:
        task: The run.
        folder: The folder of the prepared files.
    """
    fields = FIELDS[task.arm]
    values = {field: item_values(task.log, field) for field in fields}
    for period, rows in (("train", task.rows), ("test", None)):
        table = raw_table(values, fields, read_period(task.log, period, rows))
        pq.write_table(table, folder / f"{period}.parquet")
    if "vector" in fields:
        write_unit_vectors(task.log, folder)
    encoder = FeatureProcessor(
        feature_columns(fields, number_names(task.log), folder),
        {"name": "click", "dtype": "float"},
        dataset_id="data",
        data_root=str(folder),
    )
    train, test = (str(folder / f"{period}.parquet") for period in ("train", "test"))
    build_dataset(encoder, train, test_data=test, data_format="parquet")
    ray.shutdown()
    for period in ("train", "test"):
        columns = pq.read_table(folder / "data" / f"{period}.parquet").to_pandas()
        arrays = {name: np.stack(columns[name].to_numpy()) for name in columns}
        numbers = {"click", *number_names(task.log)}
        arrays = {
            name: array.astype(np.float32 if name in numbers else np.int32)
            for name, array in arrays.items()
        }
        np.savez(folder / "data" / f"{period}.npz", **arrays)


def raw_table(values: dict[str, np.ndarray], fields: dict[str, str], period: Period) -> pa.Table:
    """Return one string column per field, so that a history can share the table of its target.

    Args:
        values: (V,) int, the value of each item, by target field.
        fields: History field by target field.
        period: The impressions.
    """
    columns = {"click": pa.array(period.click.astype(np.float64))}
    offsets = pa.array(period.offsets.astype(np.int32))
    for target, history in fields.items():
        names = pa.array(values[target].astype(str))
        columns[target] = names.take(pa.array(period.item_id))
        items = names.take(pa.array(period.items))
        columns[history] = pc.binary_join(pa.ListArray.from_arrays(offsets, items), "^")
    return pa.table(columns | {name: pa.array(values) for name, values in period.numbers.items()})


def item_values(log: Path, field: str) -> np.ndarray:
    """Return (V,) int, the value of an item field by item id.

    Args:
        log: The folder of the log.
        field: The target field.
    """
    categories = read_categories(log)
    if field == "category":
        return categories
    if field == "cluster":
        return nearest_centres(log, len(categories))
    return np.arange(len(categories))  # vectors are looked up by item id


def nearest_centres(log: Path, rows: int) -> np.ndarray:
    """Return (rows,) int, the nearest of 200 k-means centres of each vector.

    Args:
        log: The folder of the log.
        rows: V, the number of item ids.
    """
    from sklearn.cluster import KMeans

    with np.load(log / "vectors.npz") as vectors:
        codes = np.zeros(rows, np.int64)
        codes[vectors["key"]] = KMeans(CLUSTERS, random_state=0).fit_predict(vectors["value"])
    return codes


def write_unit_vectors(log: Path, folder: Path) -> None:
    """Write the unit-length item vectors in the library's format.

    Args:
        log: The folder of the log.
        folder: The folder of the prepared files.
    """
    with np.load(log / "vectors.npz") as vectors:
        value = vectors["value"] / np.linalg.norm(vectors["value"], axis=1, keepdims=True)
        np.savez(folder / "vectors.npz", key=vectors["key"], value=value)


def feature_columns(
    fields: dict[str, str], numbers: list[str], folder: Path
) -> list[dict[str, object]]:
    """Return the library's feature configuration; a history shares the table of its target.

    Args:
        fields: History field by target field.
        numbers: The numeric fields.
        folder: The folder of the item vectors.
    """
    targets = [
        {"name": name, "active": True, "dtype": "str", "type": "categorical"} for name in fields
    ]
    for column in targets:
        if column["name"] == "vector":
            column |= {
                "pretrained_emb": str(folder / "vectors.npz"),
                "pretrain_dim": 128,
                "freeze_emb": True,
                "pretrain_usage": "init",
            }
    histories = [
        {
            "name": history,
            "active": True,
            "dtype": "str",
            "type": "sequence",
            "max_len": LONGEST,
            "feature_encoder": None,
            "share_embedding": target,
        }
        for target, history in fields.items()
    ]
    of_numbers: list[dict[str, object]] = [
        {"name": name, "active": True, "dtype": "float", "type": "numeric"} for name in numbers
    ]
    return targets + histories + of_numbers


if __name__ == "__main__":
    main()
