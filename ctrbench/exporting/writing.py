"""Write the periods of a data set in the formats of other libraries, with a README."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench import impressions
from ctrbench.atomic import atomic_folder
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.exporting.readme import readme
from ctrbench.exporting.rows import Rows
from ctrbench.schema import Impressions
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    import pyarrow as pa

PERIODS = ("train", "valid", "test")
UNKNOWN = "[unknown]"  # an item of a history without a row in the item table, in text files
README = "README.md"


@dataclass(frozen=True)
class Exported(Displayed, view="datasets.show_exported"):
    """What was written."""

    dataset: str
    format: str
    folder: Path
    impressions: dict[str, int]  # by period
    columns: tuple[str, ...]


def export(
    workspace: Workspace,
    name: str,
    format: str,
    folder: Path,
    history_length: int = 50,
    label: str | None = None,
) -> Exported:
    """Write train, valid and test of a data set, in their stored order.

    Args:
        workspace: The workspace of the data set.
        name: The name of the data set.
        format: One of `FORMATS`.
        folder: The folder to create.
        history_length: Number of latest clicks in a history, at least 1.
        label: The label that takes the place of the click; None: the click.

    Raises:
        ConfigError: The folder exists.
        DataError: A value contains the separator of the format.
        StoreError: The folder cannot be written.
        UnknownNameError: There is no such data set, label or format.
    """
    if format not in FORMATS:
        raise UnknownNameError("export format", format, FORMATS)
    if folder.exists():
        raise ConfigError(f"{folder} exists; name a folder that does not exist.")
    log = impressions.open_impressions(workspace, name, label)
    rows = Rows(workspace, log, history_length)
    counts = {period: _count(log, period) for period in PERIODS}
    with atomic_folder(folder) as temporary:
        FORMATS[format](temporary, name, rows, history_length)
        text = readme(log.manifest, format, history_length, counts, rows.columns)
        (temporary / README).write_text(text, encoding="utf-8")
    return Exported(name, format, folder, counts, rows.columns)


def _count(log: Impressions, period: str) -> int:
    rows = log.rows(period)
    return rows.stop - rows.start


def _parquet(folder: Path, name: str, rows: Rows, history_length: int) -> None:
    """Write one Parquet file per period; histories and list fields are lists of texts."""
    import pyarrow.parquet as pq

    del name, history_length
    for period in PERIODS:
        writer = None
        try:
            for table in rows.tables(period):
                path = folder / f"{period}.parquet"
                writer = writer or pq.ParquetWriter(path, table.schema, compression="zstd")
                writer.write_table(table)
        finally:
            if writer is not None:
                writer.close()


def _fuxictr(folder: Path, name: str, rows: Rows, history_length: int) -> None:
    """Write one CSV file per period and the data-set configuration of FuxiCTR 2."""
    for period in PERIODS:
        tables = (_joined(table, "^") for table in rows.tables(period))
        _write_text(folder / f"{period}.csv", tables, ",", "needed", rows.columns)
    features = [
        _feature("user_id", "categorical", active=False),
        _feature("item_id", "categorical"),
        _feature("history", "sequence", max_len=history_length, share_embedding="item_id"),
        *(_feature(name, "numeric") for name in ("log_history_length", "click_rate")),
        *(_feature(field.name, FUXICTR[field.kind]) for field in rows.fields),
    ]
    files = {f"{period}_data": f"./{period}.csv" for period in PERIODS}
    config = {
        "data_root": "./",
        "data_format": "csv",
        **files,
        "min_categr_count": 1,
        "feature_cols": features,
        "label_col": {"name": "click", "dtype": "float"},
    }
    _write_yaml(folder / "dataset_config.yaml", {name: config})


def _feature(name: str, kind: str, **more: Any) -> dict[str, Any]:
    """Return a feature column of FuxiCTR."""
    of_kind: dict[str, dict[str, Any]] = {
        "numeric": {"dtype": "float", "fill_na": 0.0, "normalizer": "StandardScaler"},
        "sequence": {"dtype": "str", "splitter": "^", "max_len": MOST_VALUES, "padding": "pre"},
    }
    usual = {"name": name, "active": True, "type": kind, **of_kind.get(kind, {"dtype": "str"})}
    return usual | more


def _recbole(folder: Path, name: str, rows: Rows, history_length: int) -> None:
    """Write one atomic file per period and a configuration of RecBole."""
    kinds = {field.name: RECBOLE[field.kind] for field in rows.fields} | RECBOLE_OWN
    header = [f"{_recbole_name(column)}:{kinds[column]}" for column in rows.columns]
    for period in PERIODS:
        path = folder / f"{name}.{period}.inter"
        tables = (_joined(table, " ") for table in rows.tables(period))
        _write_text(path, tables, "\t", "none", header)
    loaded = [_recbole_name(name) for name in rows.columns if name != "impression_id"]
    config = {
        "dataset": name,
        "benchmark_filename": [*PERIODS],
        "USER_ID_FIELD": "user_id",
        "ITEM_ID_FIELD": "item_id",
        "LABEL_FIELD": "click",
        "TIME_FIELD": "timestamp",
        "LIST_SUFFIX": "_list",
        "MAX_ITEM_LIST_LENGTH": history_length,
        "load_col": {"inter": loaded},
        "alias_of_item_id": ["item_id_list"],
        "train_neg_sample_args": None,
        "eval_args": {"group_by": None, "order": "TO", "mode": "labeled"},
        "metrics": ["AUC", "LogLoss"],
        "valid_metric": "AUC",
    }
    _write_yaml(folder / f"{name}.yaml", config)


def _recbole_name(column: str) -> str:
    return "item_id_list" if column == "history" else column


def _joined(table: pa.Table, separator: str) -> pa.Table:
    """Return the table with lists as text.

    Raises:
        DataError: A value of a list contains the separator.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    for place, field in enumerate(table.schema):
        if not pa.types.is_list(field.type):
            continue
        lists = table.column(place).combine_chunks()
        values = lists.values.fill_null(UNKNOWN)
        options = pc.MatchSubstringOptions(separator)
        wrong = values.filter(pc.call_function("match_substring", [values], options))
        if len(wrong):
            raise DataError(
                f"the value {wrong[0].as_py()!r} of {field.name} contains {separator!r}, which "
                "separates values in this format. Export as parquet."
            )
        filled = pa.ListArray.from_arrays(lists.offsets, values)
        text = pc.call_function("binary_join", [filled, separator])
        table = table.set_column(place, field.name, text)
    return table


def _write_text(
    path: Path,
    tables: Iterator[pa.Table],
    delimiter: str,
    quoting: str,
    header: Sequence[str],
) -> None:
    """Write tables with a header line."""
    import pyarrow as pa
    from pyarrow import csv

    options = csv.WriteOptions(include_header=False, delimiter=delimiter, quoting_style=quoting)
    with path.open("wb") as stream:
        stream.write((delimiter.join(header) + "\n").encode())
        for table in tables:
            try:
                csv.write_csv(table, stream, options)
            except pa.ArrowInvalid as error:
                raise DataError(
                    f"{path.name}: a value contains a tab, a quote or a line break, which this "
                    "format cannot hold. Export as parquet."
                ) from error


def _write_yaml(path: Path, content: dict[str, Any]) -> None:
    """Write YAML in the syntax of JSON, which is valid YAML."""
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


MOST_VALUES = 20  # values of a list field that FuxiCTR reads
FUXICTR = {"categorical": "categorical", "list": "sequence", "numeric": "numeric"}
RECBOLE = {"categorical": "token", "list": "token_seq", "numeric": "float"}
RECBOLE_OWN = {
    **dict.fromkeys(("impression_id", "user_id", "item_id", "group_id"), "token"),
    **dict.fromkeys(("click", "timestamp", "weight"), "float"),
    **dict.fromkeys(("log_history_length", "click_rate"), "float"),
    "history": "token_seq",
}
FORMATS: dict[str, Callable[[Path, str, Rows, int], None]] = {
    "parquet": _parquet,
    "fuxictr": _fuxictr,
    "recbole": _recbole,
}
