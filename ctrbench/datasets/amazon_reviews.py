"""Import a category of Amazon Reviews 2023: the benchmark's files, or raw reviews."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._negatives import Popularity, Sampling
from ctrbench.datasets._public import broken_official, open_official, require_header
from ctrbench.datasets._tables import Rule, Table, check_file
from ctrbench.datasets._text_files import pattern
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import Progress, Raw, parse_split
from ctrbench.importing.relations import Relation, first_line, make_table, one_row
from ctrbench.schema import Field, FieldKind, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PARTS = ("train", "valid", "test")
RATINGS = ["user_id", "parent_asin", "rating", "timestamp"]
REVIEW = [*RATINGS, "title", "text", "images", "asin", "helpful_vote", "verified_purchase"]
META = [
    *("main_category", "title", "average_rating", "rating_number", "features", "description"),
    *("price", "images", "videos", "store", "categories", "details", "parent_asin"),
]
META_OPTIONAL = ["bought_together", "subtitle", "author"]
TYPES = {"user_id": "VARCHAR", "parent_asin": "VARCHAR", "rating": "DOUBLE", "timestamp": "BIGINT"}
META_TYPES = {
    **dict.fromkeys(("parent_asin", "main_category", "title", "store"), "VARCHAR"),
    **dict.fromkeys(("price", "categories", "images"), "JSON"),
}
HIGHEST = 5  # rating
VALID_MS, TEST_MS = 1_628_643_414_042, 1_658_002_729_837  # starts of the official periods
IN_MILLISECONDS = 10**11  # larger times are
LONGEST_LINE = 1 << 24  # bytes of a JSON object
DIGITS = "'[0-9][0-9,]*\\.?[0-9]*'"  # SQL of the number in prices such as "from 1,112.99"
SIZES = ("hi_res", "large", "thumb")  # of a picture, the best first
BY_TIME = (
    "Periods are divided at the benchmark's times: train before 1628643414042 ms, test from "
    "1658002729837 ms on."
)
BY_USER = (
    "Periods are the given files, which are not divided at the benchmark's times (leave-last-out): "
    "train contains reviews that are later than other users' test, which leaks future popularity."
)
GIVEN = "The column history is not used: histories are derived from the log."
ONLY = "The log contains reviews only, each of which counts as a click."
REVIEWS = "A review is not an impression: every row is an item that the user chose to rate."
FUTURE = "average_rating and rating_number count the whole collection and are excluded."
URLS = (
    "Pictures are addresses (field image_url), which ctrbench does not fetch. Save them as "
    "<parent_asin>.jpg and import with --images."
)


@dataclass(frozen=True)
class AmazonReviews(Importer):
    """A category of Amazon Reviews 2023, with titles and picture addresses of items.

    Get the files from https://huggingface.co/datasets/McAuley-Lab/Amazon-Reviews-2023 or
    https://amazon-reviews-2023.github.io: benchmark/5core/timestamp/CATEGORY.train.csv, .valid.csv
    and .test.csv (also CATEGORY.csv of rating_only, or raw reviews CATEGORY.jsonl), and
    raw/meta_categories/meta_CATEGORY.jsonl. The loading script of the first site no longer runs, so
    fetch the files themselves. No license is stated.
    """

    source: Annotated[
        Path, typer.Option(help="The folder of the reviews, such as benchmark/5core/timestamp.")
    ]
    category: Annotated[str, typer.Option(help="The category as in file names: All_Beauty.")]
    meta: Annotated[Path | None, typer.Option(help="The file meta_CATEGORY.jsonl, also .gz.")] = (
        None
    )
    images: Annotated[
        Path | None, typer.Option(help="Folder of <parent_asin>.jpg that you fetched.")
    ] = None
    threshold: Annotated[
        float | None,
        typer.Option(help="A rating of at least this is a click; no non-clicks are sampled."),
    ] = None
    negatives: Annotated[int, typer.Option(min=1, help="Non-clicks to sample per review.")] = 4
    negatives_by: Annotated[
        Popularity, typer.Option(help="Sampling weights of items: their reviews, or uniform.")
    ] = Popularity.popularity
    seed: Annotated[int, typer.Option(help="Seed for sampling non-clicks.")] = 0

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions from reviews; read titles, categories and picture addresses."""
        if self.threshold is not None and not 0 < self.threshold <= HIGHEST:
            raise ConfigError(f"--threshold {self.threshold}: give a rating from 1 to {HIGHEST}.")
        progress("reading reviews")
        tables = self._reviews(connection)
        impressions, notes, counts = self._impressions(connection, tables, split is None)
        items, fields = None, []
        if self.meta:
            progress("reading items")
            items, fields, of_items = _items(connection, self.meta, impressions)
            notes += of_items
        if self.threshold is None:
            progress("sampling non-clicks")
            sampling = Sampling(self.negatives, self.negatives_by, self.seed)
            impressions, drawn, sampled = sampling.add(impressions, items, ONLY)
            counts, notes = counts | drawn, [sampled, *notes]
        label = "a review" if self.threshold is None else f"rating >= {self.threshold:g}"
        return Raw(
            impressions,
            importer="amazon_reviews",
            items=items,
            label=label,
            split=split or parse_split("given"),
            fields=tuple(fields),
            images=self.images,
            notes=(REVIEWS, *notes),
            counts=counts,
        )

    def _reviews(self, connection: DuckDBPyConnection) -> list[tuple[Table, str | None]]:
        """Return the tables of reviews, and the period of each that its name states."""
        if not self.source.is_dir():
            raise DataError(f"no folder {self.source}.")
        named = [self.source / f"{self.category}.{part}.csv" for part in PARTS]
        if any(path.exists() for path in named):
            return [
                (open_official(connection, path, RATINGS, ["history"]), part)
                for path, part in zip(named, PARTS, strict=True)
            ]
        whole = [self.source / f"{self.category}{end}" for end in (".csv", ".jsonl", ".jsonl.gz")]
        found = [path for path in whole if path.exists()]
        if len(found) > 1:
            raise ConfigError(f"{' and '.join(map(str, found))} exist: keep one in the folder.")
        if not found:
            inner = sorted(self.source.rglob(f"{self.category}.*"))
            hint = f" Did you mean {inner[0].parent}?" if inner else ""
            raise DataError(
                f"{self.source} contains neither {named[0].name} nor {whole[0].name} nor "
                f"{whole[1].name}.{hint}"
            )
        if found[0].suffix == ".csv":
            return [(open_official(connection, found[0], RATINGS), None)]
        return [(_open_lines(connection, found[0], REVIEW, [], TYPES), None)]

    def _impressions(
        self,
        connection: DuckDBPyConnection,
        tables: Sequence[tuple[Table, str | None]],
        with_period: bool,
    ) -> tuple[Relation, list[str], dict[str, int]]:
        """Return one impression per user and item, notes, and counts of rows left out."""
        problems = []
        for table, _ in tables:
            rules = [
                *id_rules(table, "user_id", "text"),
                *id_rules(table, "parent_asin", "text"),
                *_number_rules(table),
            ]
            problems += broken_official(connection, table, rules)
        raise_all(problems, DataError, "these reviews cannot be used:")
        rows = make_table(
            connection,
            "reviews",
            " UNION ALL ".join(
                f"""SELECT user_id, parent_asin AS item_id, rating::DOUBLE AS rating,
                timestamp::BIGINT AS timestamp, {_period(part)} AS period FROM {table.relation}"""
                for table, part in tables
            ),
        )
        latest, every, negative, zero = rows.one_row(
            "max(timestamp), count(*), count(*) FILTER (timestamp < 0), "
            "count(*) FILTER (timestamp >= 0 AND rating = 0)"
        )
        if latest < IN_MILLISECONDS:
            raise DataError(
                f"{tables[0][0].path}: the latest timestamp is {latest}, so the times are not in "
                "milliseconds. Use the official file."
            )
        click = "1" if self.threshold is None else f"(rating >= {self.threshold})"
        found = make_table(
            connection,
            "impressions",
            f"""SELECT user_id, item_id, {click}::TINYINT AS click, timestamp, period
            FROM {rows} WHERE timestamp >= 0 AND rating <> 0
            QUALIFY row_number() OVER (PARTITION BY user_id, item_id
                ORDER BY timestamp, rating) = 1""",
        )
        (kept,) = found.one_row("count(*)")
        rows.drop()
        (moved,) = found.one_row("count(*)", f"period <> ({_period(None)})")
        counts = {
            "negative_times": negative,
            "zero_ratings": zero,
            "repeated_reviews": every - negative - zero - kept,
        }
        texts = {
            "negative_times": "rows have a time before 1970 and were left out",
            "zero_ratings": "rows have the rating 0, which does not exist, and were left out",
            "repeated_reviews": "rows repeat a user and item; the earliest review is kept",
        }
        notes = [f"{counts[name]:,} {text}." for name, text in texts.items() if counts[name]]
        if any("history" in table.types for table, _ in tables):
            notes.append(GIVEN)
        if not with_period:
            return _without_period(found), notes, counts
        return found, [BY_USER if moved else BY_TIME, *notes], counts


def _without_period(rows: Relation) -> Relation:
    return make_table(rows.connection, "rows", f"SELECT * EXCLUDE (period) FROM {rows}")


def _period(given: str | None) -> str:
    """Return SQL for the period of a row: that of its file, else by the benchmark's times."""
    if given:
        return f"'{given}'"
    return (
        f"CASE WHEN timestamp::BIGINT < {VALID_MS} THEN 'train' "
        f"WHEN timestamp::BIGINT < {TEST_MS} THEN 'valid' ELSE 'test' END"
    )


def _number_rules(table: Table) -> list[Rule]:
    """Return the rules for ratings and times; negative times and the rating 0 are counted later."""
    rating, time = "TRY_CAST(rating AS DOUBLE)", "TRY_CAST(timestamp AS BIGINT)"
    return [
        Rule("rating", f"NOT coalesce({rating} BETWEEN 0 AND {HIGHEST}, false)", "are not 0 to 5"),
        Rule("timestamp", f"{time} IS NULL", "are not whole numbers"),
    ]


def _open_lines(
    connection: DuckDBPyConnection,
    path: Path,
    keys: Sequence[str],
    optional: Sequence[str],
    types: dict[str, str],
) -> Table:
    """Open some columns of a file of JSON lines, whose first object shows the keys.

    Raises:
        DataError: The file is missing or damaged, or has other keys.
    """
    import duckdb

    check_file(path)
    opened = gzip.open if path.suffix == ".gz" else open
    try:
        with opened(path, "rb") as file:
            first = json.loads(file.readline(LONGEST_LINE))
    except (OSError, EOFError, ValueError) as error:
        raise DataError(f"{path} is damaged or no file of JSON lines: {error}") from error
    require_header(path, list(first), keys, optional)
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    source = (
        f"read_json({pattern(path)}, format = 'newline_delimited', columns = {{{columns}}}, "
        f"maximum_object_size = {LONGEST_LINE})"
    )
    try:
        made = make_table(connection, path.name, f"FROM {source}")
    except duckdb.OutOfMemoryException:
        raise
    except (duckdb.InvalidInputException, duckdb.IOException, duckdb.ConversionException) as error:
        if "No space left" in str(error):
            raise
        raise DataError(f"{path} is damaged: {first_line(error)}.") from error
    (rows,) = made.one_row("count(*)")
    return Table(path, str(made), dict(made.columns), rows)


def _items(
    connection: DuckDBPyConnection, path: Path, impressions: Relation
) -> tuple[Relation, list[Field], list[str]]:
    """Return the items of the log that the metadata describe, their fields, and notes."""
    table = _open_lines(connection, path, META, META_OPTIONAL, META_TYPES)
    rules = id_rules(table, "parent_asin", "text")
    raise_all(broken_official(connection, table, rules), DataError, "these items cannot be used:")
    price = f"TRY_CAST(replace(regexp_extract(price ->> '$', {DIGITS}), ',', '') AS FLOAT)"
    query = f"""SELECT parent_asin AS item_id, nullif(main_category, '') AS main_category,
        nullif(store, '') AS store, categories ->> '$[*]' AS categories, {price} AS price,
        title, {_image_url()} AS image_url
        FROM {table.relation} SEMI JOIN {impressions} AS log ON log.item_id = parent_asin"""
    items = make_entities(connection, "items", "item_id", query, str(path))
    require_common_ids(items, "item_id", path, impressions)
    shown, described, pictured = one_row(
        connection,
        f"""SELECT count(*), count(items.item_id), count(image_url)
        FROM (SELECT DISTINCT item_id FROM {impressions}) LEFT JOIN {items} AS items
        USING (item_id)""",
    )
    (unread,) = one_row(
        connection,
        f"""SELECT count(*) FROM {table.relation}
        WHERE price ->> '$' IS NOT NULL AND {price} IS NULL""",
    )
    notes = [
        f"{described:,} of {shown:,} items of the log are described in {path.name}; {pictured:,} "
        "have a picture address.",
        URLS,
        FUTURE,
    ]
    if unread:
        notes.append(f"Prices of {path.name} without a number: {unread:,}, missing.")
    kinds: dict[str, FieldKind] = {
        "main_category": "categorical",
        "store": "categorical",
        "categories": "list",
        "price": "numeric",
        "title": "text",
        "image_url": "text",
    }
    fields = [Field(name=name, of="item", kind=kind) for name, kind in kinds.items()]
    return items, fields, notes


def _image_url() -> str:
    """Return SQL for the best address of the main picture, else of the first."""
    listed = "images::JSON[]"
    main = f"list_filter({listed}, lambda v: v ->> '$.variant' = 'MAIN')[1]"
    chosen = f"coalesce({main}, ({listed})[1])"
    addresses = [f"({chosen}) ->> '$.{size}'" for size in SIZES]
    return f"coalesce({', '.join(addresses)})"
