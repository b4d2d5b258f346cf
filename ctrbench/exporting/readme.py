"""The README of an exported folder: its files, its columns, and how to return predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ctrbench.schema import DatasetManifest

COLUMNS = {
    "impression_id": "row of the impression in the data set; predictions are matched by it",
    "user_id": "raw id of the user; by default, the models of ctrbench do not read it",
    "item_id": "raw id of the item shown",
    "click": "outcome, 0 or 1",
    "timestamp": "time of the impression, in the unit of the log; not an input",
    "weight": "sample weight of the impression",
    "group_id": "evaluation group: GAUC compares the impressions of one group; not an input",
    "history": "raw ids of the latest clicked items before the snapshot, oldest first",
    "log_history_length": "log(1 + number of clicks before the snapshot)",
    "click_rate": "clicks over impressions of the user before the snapshot; missing without one",
}
FILES = {
    "parquet": (
        "`train.parquet`, `valid.parquet` and `test.parquet`. Lists are lists of texts, and a "
        "history item without a row in the item table is null."
    ),
    "fuxictr": (
        "`train.csv`, `valid.csv`, `test.csv` and `dataset_config.yaml` for FuxiCTR 2. Copy the "
        "configuration into the folder of the model's configuration, and set the paths. FuxiCTR "
        "predicts `test.csv` in its order, so the i-th prediction belongs to the i-th "
        "`impression_id` of that file."
    ),
    "recbole": (
        "`{name}.train.inter`, `{name}.valid.inter`, `{name}.test.inter` and `{name}.yaml` for "
        "RecBole. The folder must have the name `{name}`, and `data_path` is the folder above. "
        "Choose a model of click prediction, such as DIN or DeepFM. Predict the test file in its "
        "order, so that the i-th prediction belongs to its i-th `impression_id`. The column "
        "`history` is named `item_id_list`."
    ),
}


def readme(
    manifest: DatasetManifest,
    format: str,
    history_length: int,
    counts: Mapping[str, int],
    columns: Sequence[str],
) -> str:
    """Return the text of the README.

    Args:
        manifest: The description of the data set.
        format: The name of the format.
        history_length: Number of latest clicks in a history.
        counts: Impressions by period.
        columns: The columns of the files.
    """
    name, label = manifest.name, manifest.outcome
    fields = {field.name: f"{field.kind} field of the {field.of}" for field in manifest.fields}
    described = {column: COLUMNS.get(column) or fields[column] for column in columns}
    listed = "\n".join(f"| `{column}` | {text} |" for column, text in described.items())
    periods = ", ".join(f"{period} {count:,}" for period, count in counts.items())
    states = f"User states are those at the start of each {manifest.snapshot}."
    if manifest.history == "given":
        states = "Histories are given by the data set."
    of_label = f" --label {label}" if label else ""
    return f"""# {name} for other models

Format: {format}. Label: {manifest.label}. Split: {manifest.split}. Impressions: {periods}.
Content hash of the data set: {manifest.content_hash}.

{FILES[format].format(name=name)}

The files hold the periods on which ctrbench trains, chooses and evaluates, in the same order.
The period `pretrain` is not exported: the CTR models of ctrbench are not trained on it, but
histories contain its clicks. Histories hold at most {history_length} items. {states}
Do not compute inputs from the clicks of `test`.

| column | content |
|---|---|
{listed}

## Returning predictions

Fit on `train`, choose on `valid`, and predict `test`. Write one row per test impression, in any
order:

| impression_id | p_click |
|---|---|
| 3200 | 0.0412 |

`score` instead of `p_click` may be any number of which only the order matters. A column `seed`
distinguishes several trainings.

```bash
ctrbench import-predictions predictions.parquet --as NAME --dataset {name}{of_label}
```

Add `predictions: [NAME]` to a benchmark file. Its tables then show the model beside the baseline.
"""
