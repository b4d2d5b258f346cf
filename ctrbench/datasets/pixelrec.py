"""Import PixelRec: interactions with videos, from one of its four sizes or its sample."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.arrays import NPY_ERRORS
from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._negatives import Popularity, Sampling
from ctrbench.datasets._public import broken_official, open_official
from ctrbench.datasets._tables import Table, check_file
from ctrbench.datasets._timestamps import open_times, timestamp_expressions
from ctrbench.errors import DataError, raise_all
from ctrbench.importing import GivenVersion, Progress, Raw, Source, parse_split
from ctrbench.importing.relations import Relation, make_table, one_row
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS = ["item_id", "user_id", "timestamp"]
NUMBERS = [
    *("view_number", "comment_number", "thumbup_number", "share_number", "coin_number"),
    *("favorite_number", "barrage_number"),
]
INFO = ["item_id", *NUMBERS, "title", "tag", "description"]
VERSION, PADDING = "rn50", "padding"
ORDER = (
    "Rows were joined by the order in which items first appear in the interactions; row 0, the "
    "padding, is not an item."
)
ITEM_ID = "i[0-9]+"
ONLY = "The log contains interactions only, each of which counts as a click."
SPLIT = (
    "Periods are leave-one-out, as in the paper: the last interaction of a user is test, the one "
    "before it valid, all others train. train contains interactions that are later than other "
    "users' test, which leaks future popularity; --split time:20/50/10/20 avoids it."
)
COUNTS = "The numbers of views, comments and the like count the whole period and are excluded."


@dataclass(frozen=True)
class PixelRec(Importer):
    """Interactions with videos and their covers, with sampled non-clicks.

    Get Pixel200K.csv, Pixel1M.csv, Pixel8M.csv or PixelRec.csv (or the sample PixelRec50K.csv), the
    file of item information and the covers from the links in
    https://github.com/westlake-repl/PixelRec. The license allows non-commercial research and
    education, and forbids copying and handing on.
    """

    default_name: ClassVar[str | None] = "pixelrec"

    interactions: Annotated[Path, typer.Option(help="Pixel200K.csv or another size.")]
    item_info: Annotated[
        Path | None, typer.Option(help="The CSV file of titles, tags and descriptions.")
    ] = None
    images: Annotated[
        Path | None, typer.Option(help="The unpacked folder of covers, <item_id>.jpg.")
    ] = None
    rn50: Annotated[
        Path | None,
        typer.Option(help="RN50.npy of the same size, whose row 0 is padding."),
    ] = None
    negatives: Annotated[int, typer.Option(min=1, help="Non-clicks to sample per click.")] = 4
    negatives_by: Annotated[
        Popularity, typer.Option(help="Sampling weights of items: their clicks, or uniform.")
    ] = Popularity.popularity
    seed: Annotated[int, typer.Option(help="Seed for sampling non-clicks.")] = 0

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions from interactions and sampled non-clicks; read titles and tags."""
        progress("reading interactions")
        table = open_official(connection, self.interactions, ROWS)
        clicks, notes = _clicks(connection, table, split is None)
        items, fields = None, []
        if self.item_info:
            progress("reading items")
            items, fields = _items(connection, self.item_info, clicks)
            notes.append(COUNTS)
        versions = (_rn50(connection, self.rn50, table),) if self.rn50 else ()
        progress("sampling non-clicks")
        sampling = Sampling(self.negatives, self.negatives_by, self.seed)
        impressions, drawn, sampled = sampling.add(clicks, items, ONLY)
        return Raw(
            impressions,
            importer="pixelrec",
            items=items,
            label="an interaction",
            split=split or parse_split("given"),
            fields=tuple(fields),
            images=self.images,
            versions=versions,
            notes=(sampled, *([] if split else [SPLIT]), *notes),
            counts=drawn,
        )


def _clicks(
    connection: DuckDBPyConnection, table: Table, with_period: bool
) -> tuple[Relation, list[str]]:
    """Return the interactions as clicks, with a period by leave-one-out, and notes."""
    times = open_times(connection, [table])
    rules = [
        *id_rules(table, "user_id", "text"),
        *id_rules(table, "item_id", "text"),
        *times[0].rules(),
    ]
    problems = broken_official(connection, table, rules)
    raise_all(problems, DataError, "these interactions cannot be used:")
    (swapped,) = one_row(
        connection,
        f"""SELECT bool_and(regexp_full_match(user_id, '{ITEM_ID}'))
        AND NOT bool_or(regexp_full_match(item_id, '{ITEM_ID}')) FROM {table.relation}""",
    )
    if swapped:
        raise DataError(
            f"{table.path}: the columns item_id and user_id are swapped: ids such as i12 are items "
            "of PixelRec. Use the official file."
        )
    (moment,), found = timestamp_expressions(connection, times)
    place = "row_number() OVER (PARTITION BY user_id ORDER BY timestamp DESC, item_id DESC)"
    period = f"CASE {place} WHEN 1 THEN 'test' WHEN 2 THEN 'valid' ELSE 'train' END AS period,"
    rows = f"SELECT user_id, item_id, {moment} AS timestamp FROM {table.relation}"
    query = f"""SELECT user_id, item_id, 1::TINYINT AS click, {period * with_period} timestamp
        FROM ({rows})"""
    return make_table(connection, "clicks", query), list(found)


def _rn50(connection: DuckDBPyConnection, path: Path, table: Table) -> GivenVersion:
    """Return the version of a file whose rows follow the first appearances of items.

    Raises:
        DataError: The file is no array without pickles, or has another number of rows.
    """
    import numpy as np

    check_file(path)
    try:
        shape = np.load(path, mmap_mode="r", allow_pickle=False).shape
    except (OSError, *NPY_ERRORS) as error:
        raise DataError(
            f"{path} is not a .npy array of numbers. Pickled data is never loaded, since loading "
            "can run arbitrary code."
        ) from error
    lines = f"SELECT item_id, row_number() OVER () AS line FROM {table.relation}"
    query = f"SELECT item_id FROM ({lines}) GROUP BY item_id ORDER BY min(line)"
    ids = [item for (item,) in connection.execute(query).fetchall()]
    if len(shape) != 2 or shape[0] != 1 + len(ids):
        raise DataError(
            f"{path} has shape {shape}, expected {1 + len(ids):,} rows: one of padding and one per "
            f"item of {table.path.name}. The file of another size has other items."
        )
    (place,) = one_row(connection, "SELECT path FROM duckdb_databases() WHERE NOT internal")
    order = Path(place).with_name("rn50.txt")  # which exists until the import ends
    order.write_text("".join(f"{item}\n" for item in [PADDING, *ids]), encoding="utf-8")
    return GivenVersion(VERSION, Source(path, ids=order), (ORDER,))


def _items(
    connection: DuckDBPyConnection, path: Path, clicks: Relation
) -> tuple[Relation, list[Field]]:
    """Return titles, tags and descriptions of the items of the log."""
    table = open_official(connection, path, INFO)
    problems = broken_official(connection, table, id_rules(table, "item_id", "text"))
    raise_all(problems, DataError, "these items cannot be used:")
    query = f"""SELECT item_id, nullif(tag, '') AS tag, title, description
        FROM {table.relation} SEMI JOIN {clicks} USING (item_id)"""
    items = make_entities(connection, "items", "item_id", query, str(path))
    require_common_ids(items, "item_id", path, clicks)
    fields = [
        Field(name="tag", of="item", kind="categorical"),
        Field(name="title", of="item", kind="text"),
        Field(name="description", of="item", kind="text"),
    ]
    return items, fields
