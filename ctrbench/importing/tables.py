"""Write a numbered log as Parquet tables, from which everything else can be derived."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from ctrbench.arrays import ahead, blocks, release
from ctrbench.importing.numbered_log import NumberedLog
from ctrbench.importing.numbering import Histories, with_codes
from ctrbench.importing.relations import PART, Relation, literal, quoted
from ctrbench.schema import LABEL

COMPRESSION = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"


def write_tables(log: NumberedLog, folder: Path) -> None:
    """Write impressions, history, items, users, vocabularies and invalid rows as Parquet.

    Args:
        log: The log to write.
        folder: An existing folder.
    """
    raw, ids = log.raw, log.ids
    queries = {
        "impressions": _impressions(log),
        "items": _entities(log, "item", ids.items, raw.items, ", ids.listed"),
        "users": _entities(log, "user", ids.users, raw.users),
        "vocabularies": _vocabularies(log),
    }
    if raw.invalid is not None:
        queries["invalid_rows"] = f"FROM {raw.invalid}"
    if log.histories is None:
        queries["history"] = _clicks(log)
    else:
        _write_lists(log.histories, folder / "history.parquet")
    for name, query in queries.items():
        path = literal(folder / f"{name}.parquet")
        raw.impressions.connection.execute(f"COPY ({query}) TO {path} ({COMPRESSION})")


def _impressions(log: NumberedLog) -> str:
    """Return SQL of the rows in the order of the data set. Only a join requires a sort."""
    state = "placed" if log.states is None else "frozen"
    chosen = ["user_id", "item_id", "click"]
    if log.histories is None:
        start, length = "_user_start", f"{state}.prior_clicks"
    else:
        prefix = "placed._length, " * (log.raw.histories is not None)
        start, length = "coalesce(lists.start, 0)", f"coalesce({prefix}lists.length, 0)"
    chosen += [f"{start} AS history_start", f"{length} AS history_length"]
    if log.has("timestamp"):
        chosen += [f"{state}.prior_impressions", f"{state}.prior_clicks", "timestamp"]
    if log.raw.snapshot.kind in ("session", "day"):
        chosen.append("group_id")
    chosen += [name for name in ("weight", "p_true") if log.has(name)]
    chosen += [quoted(LABEL + name) for name in log.raw.labels]
    chosen += [quoted(field.name) for field in log.fields if field.of == "context"]
    rows = f"{log.impressions} AS placed"
    if log.states is not None:
        rows = f"{rows} POSITIONAL JOIN {log.states} AS frozen"
    if log.histories is not None:
        rows = f"{rows} LEFT JOIN {log.histories.lists} AS lists USING (_history)"
    keeps_order = log.in_order and log.histories is None
    order = "" if keeps_order else f"ORDER BY {', '.join(log.order)}"
    return f"SELECT {', '.join(chosen)} FROM {rows} {order}"


def _clicks(log: NumberedLog) -> str:
    """Return SQL of the clicks, sorted by user and time."""
    rows = f"SELECT item_id FROM {log.impressions} WHERE click = 1"
    return f"{rows} ORDER BY user_id, timestamp, item_id"


def _write_lists(histories: Histories, path: Path) -> None:
    """Write the items of the given lists, each to its place, through a file on disk."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (total,) = histories.lists.one_row("coalesce(sum(length), 0)::BIGINT")
    schema = pa.schema([("item_id", pa.int32())])
    form = {"compression": "zstd", "compression_level": 1, "use_byte_stream_split": ["item_id"]}
    with (
        tempfile.TemporaryFile(dir=path.parent) as file,
        pq.ParquetWriter(path, schema, use_dictionary=False, **form) as writer,
    ):
        for rows in blocks(total):  # on a full disk, a memory map of a sparse file would crash
            file.write(bytes(4 * (rows.stop - rows.start)))
        if not total:
            return
        file.flush()
        items = np.memmap(file, np.int32, "r+", shape=(total,))
        for place, item in ahead(histories.entries.parts("place, item_id")):
            items[place] = item
            release(items)
        for rows in blocks(total, PART):
            writer.write_table(pa.table([items[rows]], schema=schema))
            release(items)


def _entities(
    log: NumberedLog, owner: str, ids: Relation, given: Relation | None, more: str = ""
) -> str:
    """Return SQL of items or users in the order of their ids: dense id, raw id, fields."""
    chosen, joins = [f"ids.{owner}_id", f"ids.raw_id::VARCHAR AS raw_id{more}"], []
    fields = [one for one in log.encoded_fields if one.field.of == owner]
    if given is not None:
        rows = with_codes(given, fields)
        joins.append(f"LEFT JOIN {rows} AS given ON given.{owner}_id = ids.raw_id")
    for one in fields:
        expression, join = one.expression("given")
        chosen.append(expression)
        joins.append(join)
    rows = f"{ids} AS ids {' '.join(joins)}"
    return f"SELECT {', '.join(chosen)} FROM {rows} ORDER BY ids.{owner}_id"


def _vocabularies(log: NumberedLog) -> str:
    """Return SQL of the value of every code of every categorical or list field."""
    parts = ["SELECT '' AS field, 0 AS code, '' AS value WHERE false"]
    parts += [
        f"SELECT {literal(one.field.name)}, code, value FROM {one.values}"
        for one in log.encoded_fields
        if one.values is not None
    ]
    return f"{' UNION ALL '.join(parts)} ORDER BY field, code"
