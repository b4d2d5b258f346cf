"""Read KuaiVideo and MicroVideo1.7M, which have the same two layouts.

x1: train.csv and test.csv, with histories in every row and vectors in HDF5. x2: Parquet files of
train, valid and test; histories are prefixes of one list per user, and vectors are in a column.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._ids import Kind, id_rules, id_value, ids_rules, ids_value, kind_of_ids
from ctrbench.datasets._layouts import require_columns, require_types, write_vectors
from ctrbench.datasets._lists import ColumnOptions
from ctrbench.datasets._log import click_rules, click_value
from ctrbench.datasets._public import find_optional, require_header
from ctrbench.datasets._tables import (
    Rule,
    Table,
    broken_rules,
    check_file,
    missing,
    read_table,
    refuse_empty,
    renamed,
)
from ctrbench.datasets._text_files import Dialect, pattern, read_header
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import GivenVersion, Progress, Raw, Source, parse_split
from ctrbench.importing.relations import Relation, make_table, make_view, one_row
from ctrbench.printable import counted
from ctrbench.raw_ids import INTEGERS
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

CSV_PERIODS, PARQUET_PERIODS = ("train", "test"), ("train", "valid", "test")
OPTIONS = ColumnOptions(separators={"history": "^"})
MOMENT = "TRY_CAST(timestamp AS DECIMAL(28, 6))"
VALID_SHARE = 0.1
SEQUENCE, VECTOR = "full_item_seq", "image_emb_dim64"
X1_SPLIT = (
    "Train and test are the official files. There is no valid file: published BARS results select "
    "the epoch on test, ctrbench never does."
)
X2_SPLIT = "Periods are the official train, valid and test files."
ORDINAL = (
    "Timestamps have an order, but no unit. They are stored as ranks, so a snapshot by day or "
    "session is impossible."
)
REBUILT = "Histories are rebuilt from the clicks of the log; the given ones are not used."
PREFIXES = (
    "Histories are the given prefixes of one list per user, as in published results. They contain "
    "clicks of the same period, which biases GAUC per user."
)
MERGED = "merged_item_id merges rare items, as in published results; items have their own index."


class Layout(StrEnum):
    """The layout of the official files, as reczoo numbers it."""

    x1 = "x1"  # CSV
    x2 = "x2"  # Parquet


class Histories(StrEnum):
    """Where histories of layout x1 come from."""

    rebuilt = "rebuilt"
    given = "given"


@dataclass(frozen=True)
class Official:
    """What differs between the data sets."""

    name: str  # of the importer
    header: Sequence[str]  # of the CSV files
    history: str  # its column of clicked items
    category: str | None  # its column of the item's category
    vectors: str  # file of layout x1
    version: str  # name of the version
    x1_notes: Sequence[str]
    about_vectors: Sequence[str]
    about_given: str  # what the given histories are
    if_uneven: str = ""  # what is wrong if timestamps have different numbers of digits


@dataclass(frozen=True)
class VideoImporter(Importer):
    """Reads both layouts of a data set; a subclass says what is special."""

    official: ClassVar[Official]

    source: Annotated[Path, typer.Option(help="The folder of the official files.")]
    layout: Annotated[
        Layout | None, typer.Option(help="Which files to read, if the folder contains both.")
    ] = None
    histories: Annotated[
        Histories | None,
        typer.Option(help="x1 only: rebuilt from the log (default), or as the rows give them."),
    ] = None

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Read the layout that the folder contains."""
        csv = find_optional(self.source, "train.csv")
        parquet = find_optional(self.source, "train.parquet")
        if csv and parquet and self.layout is None:
            raise ConfigError(f"{self.source} contains both layouts. Give --layout x1 or x2.")
        if self.layout is not Layout.x2 and csv:
            given = self.histories is Histories.given
            return _X1(connection, csv.parent, self.official, given).read(split, progress)
        if self.layout is not Layout.x1 and parquet:
            if self.histories is not None:
                raise ConfigError("--histories belongs to layout x1: x2 gives prefixes of lists.")
            return _X2(connection, parquet.parent, self.official).read(split, progress)
        raise DataError(f"{self.source} contains neither train.csv (x1) nor train.parquet (x2).")


@dataclass(frozen=True)
class _X1:
    """Layout x1."""

    connection: DuckDBPyConnection
    folder: Path
    official: Official
    given: bool  # whether histories are the given ones

    def read(self, split: Split | None, progress: Progress) -> Raw:
        """Return ranked impressions, categories of items, and vectors if their file is there."""
        progress("reading impressions")
        tables = [self._open(period) for period in CSV_PERIODS]
        histories = tables if self.given else []
        users, items = self._kind(tables, "user_id", []), self._kind(tables, "item_id", histories)
        self._check(tables, users, items)
        progress("ranking times")
        notes = self._check_times(tables, users)
        moments = make_table(
            self.connection,
            "moments",
            f"""SELECT moment, row_number() OVER (ORDER BY moment) AS timestamp FROM (
            {" UNION ".join(f"SELECT {MOMENT} AS moment FROM {t.relation}" for t in tables)})""",
        )
        impressions = make_view(
            self.connection,
            "impressions",
            " UNION ALL ".join(
                self._select(table, period, users, items, moments)
                for table, period in zip(tables, CSV_PERIODS, strict=True)
            ),
        )
        entities, about_items = self._items(tables, items)
        split = split or parse_split("given")
        versions = self._versions()
        missing_vectors = f"{self.official.vectors} was not found, so no image vectors were added."
        return Raw(
            impressions,
            importer=self.official.name,
            items=entities,
            label="is_click = 1",
            split=split,
            fields=(Field(name=self.official.category, of="item", kind="categorical"),)
            if self.official.category
            else (),
            valid_share=VALID_SHARE if split.kind == "given" else None,
            versions=versions,
            notes=(
                X1_SPLIT,
                ORDINAL,
                self.official.about_given if self.given else REBUILT,
                *self.official.x1_notes,
                *notes,
                *about_items,
                *self._new_items(impressions),
                *[missing_vectors] * (not versions),
            ),
        )

    def _open(self, period: str) -> Table:
        official, path = self.official, self.folder / f"{period}.csv"
        category = [official.category] if official.category else []
        keep = ["user_id", "item_id", "is_click", "timestamp", *category]
        keep += [official.history] * self.given
        check_file(path)
        require_header(path, read_header(path, Dialect(",")), official.header)
        table = read_table(self.connection, path, dialect=Dialect(","), keep=keep)
        names = {name: name for name in keep} | {"is_click": "click", official.history: "history"}
        return renamed(self.connection, refuse_empty(table), {name: names[name] for name in keep})

    def _kind(self, tables: Sequence[Table], name: str, histories: list[Table]) -> Kind:
        columns = [(table, name) for table in tables]
        return kind_of_ids(self.connection, columns, histories, OPTIONS)

    def _check(self, tables: Sequence[Table], users: Kind, items: Kind) -> None:
        problems = []
        for table in tables:
            rules = [*id_rules(table, "user_id", users), *id_rules(table, "item_id", items)]
            rules += [*click_rules(table), missing(table, "timestamp")]
            unread = f"nullif(timestamp, '') IS NOT NULL AND {MOMENT} IS NULL"
            rules.append(Rule("timestamp", unread, "are not numbers"))
            rules += ids_rules(table, "history", OPTIONS, items) if self.given else []
            problems += broken_rules(self.connection, table, rules)
        raise_all(problems, DataError, "these impressions cannot be used:")

    def _check_times(self, tables: Sequence[Table], users: Kind) -> list[str]:
        """Check the order of the files, and return notes on it.

        Raises:
            DataError: A user's test is older than the user's train, or the given histories were
                sorted by timestamps as text.
        """
        digits = " UNION ALL ".join(f"SELECT timestamp FROM {t.relation}" for t in tables)
        fewest, most = one_row(
            self.connection,
            f"""SELECT min(n), max(n) FROM (
            SELECT length(split_part(timestamp, '.', 1)) AS n FROM ({digits}))""",
        )
        notes = []
        if fewest < most and self.official.if_uneven:
            uneven = f"Timestamps have {fewest} to {most} digits. {self.official.if_uneven}"
            if self.given:
                raise DataError(f"{self.folder}: {uneven} Use --histories rebuilt.")
            notes.append(uneven)
        train, test = (
            f"SELECT {id_value(table, 'user_id', users)} AS user_id, min({MOMENT}) AS first, "
            f"max({MOMENT}) AS last FROM {table.relation} GROUP BY 1"
            for table in tables
        )
        (backward,) = one_row(
            self.connection,
            f"""SELECT count(*) FROM ({train}) AS a JOIN ({test}) AS b USING (user_id)
            WHERE b.first < a.last""",
        )
        if backward and not self.given:
            raise DataError(
                f"{self.folder}: {counted(backward, 'user has', 'users have')} rows of test that "
                "are older than the user's last row of train, so rebuilt histories of train would "
                "contain clicks of test. Use the official files, or --histories given."
            )
        (last,) = one_row(self.connection, f"SELECT max(last) FROM ({train})")
        (first,) = one_row(self.connection, f"SELECT min(first) FROM ({test})")
        if first <= last:
            notes.append(
                "Test follows train for each user, but not across users: future popularity leaks."
            )
        return notes

    def _select(
        self, table: Table, period: str, users: Kind, items: Kind, moments: Relation
    ) -> str:
        history = ""
        if self.given:
            history = f", {ids_value(table, 'history', OPTIONS, items)} AS history"
        return f"""SELECT {id_value(table, "user_id", users)} AS user_id,
            {id_value(table, "item_id", items)} AS item_id,
            ({click_value(table)})::TINYINT AS click, '{period}' AS period,
            moments.timestamp AS timestamp{history}
            FROM (SELECT *, {MOMENT} AS moment FROM {table.relation}) AS log
            JOIN {moments} AS moments USING (moment)"""

    def _items(self, tables: Sequence[Table], items: Kind) -> tuple[Relation | None, list[str]]:
        """Return items with their category, and a note on items with several."""
        name = self.official.category
        if name is None:
            return None, []
        both = " UNION ALL ".join(
            f"SELECT {id_value(t, 'item_id', items)} AS item_id, {name} FROM {t.relation}"
            for t in tables
        )
        entities = make_table(
            self.connection,
            "items",
            f"""SELECT item_id, nullif(min({name}), '') AS {name}, min({name}) <> max({name})
            AS several FROM ({both}) GROUP BY item_id""",
        )
        (several,) = entities.one_row("count(*)", "several")
        kept = f"SELECT item_id, {name} FROM {entities}"
        note = f"Items with several categories: {several:,}; the first by name is used."
        return make_view(self.connection, "categories", kept), [note] * (several > 0)

    def _new_items(self, impressions: Relation) -> list[str]:
        """Return a note on the items of test that do not occur in train."""
        query = f"SELECT DISTINCT item_id FROM {impressions} WHERE period = "
        new, total = one_row(
            self.connection,
            f"""SELECT count(*) FILTER (item_id NOT IN ({query}'train')), count(*)
            FROM ({query}'test')""",
        )
        return [f"{new:,} of {total:,} items of test do not occur in train."] * (new > 0)

    def _versions(self) -> tuple[GivenVersion, ...]:
        path = self.folder / self.official.vectors
        if not path.exists():
            return ()
        source = Source(path, key="key", value="value")
        return (GivenVersion(self.official.version, source, tuple(self.official.about_vectors)),)


@dataclass(frozen=True)
class _X2:
    """Layout x2."""

    connection: DuckDBPyConnection
    folder: Path
    official: Official

    def read(self, split: Split | None, progress: Progress) -> Raw:
        """Return impressions with lengths of prefixes, one list per user, items and vectors."""
        progress("reading users and items")
        users = self._open("user_info", {SEQUENCE: ("INTEGER[]", "BIGINT[]", "UINTEGER[]")})
        items = self._open("item_info", {"item_id": INTEGERS, VECTOR: ("FLOAT[]", "DOUBLE[]")})
        ids = {"user_index": INTEGERS, "item_index": INTEGERS, "seq_len": INTEGERS}
        logs = [self._open(period, ids, "is_click") for period in PARQUET_PERIODS]
        progress("checking impressions")
        self._check(logs, users, items)
        self._check_vectors(items)
        impressions = make_view(
            self.connection,
            "impressions",
            " UNION ALL ".join(
                f"""SELECT user_index::BIGINT AS user_id, item_index::BIGINT AS item_id,
                ({click_value(log)})::TINYINT AS click, '{period}' AS period,
                user_index::BIGINT AS history_key, seq_len::INTEGER AS history_length
                FROM {log.relation}"""
                for log, period in zip(logs, PARQUET_PERIODS, strict=True)
            ),
        )
        numbered = f"FROM {_numbered(users.path)}"
        histories = make_view(
            self.connection,
            "histories",
            f"SELECT file_row_number AS history_key, {SEQUENCE}::BIGINT[] AS history {numbered}",
        )
        names = {"item_id": "merged_item_id"}
        names |= {"cate_id": "cate_id"} if "cate_id" in items.types else {}
        chosen = ", ".join(f"{old}::VARCHAR AS {new}" for old, new in names.items())
        rows = f"FROM {_numbered(items.path)} WHERE file_row_number > 0"  # row 0 is padding
        entities = make_view(
            self.connection, "items", f"SELECT file_row_number AS item_id, {chosen} {rows}"
        )
        progress("reading vectors")
        vectors = f"SELECT file_row_number AS item_id, {VECTOR} AS vector {rows}"
        source = Source(write_vectors(self.connection, self.official.version, vectors))
        about = tuple(self.official.about_vectors)
        return Raw(
            impressions,
            importer=self.official.name,
            items=entities,
            histories=histories,
            label="is_click = 1",
            split=split or parse_split("given"),
            fields=tuple(Field(name=new, of="item", kind="categorical") for new in names.values()),
            versions=(GivenVersion(self.official.version, source, about, origin=items.path),),
            notes=(X2_SPLIT, PREFIXES, MERGED),
        )

    def _open(self, name: str, types: Mapping[str, tuple[str, ...]], click: str = "") -> Table:
        path = self.folder / f"{name}.parquet"
        table = refuse_empty(read_table(self.connection, path))
        columns = [*types, *[click] * bool(click)]
        require_columns(path, table.types, columns)
        require_types(table, types)
        names = {name: name for name in table.types} | ({click: "click"} if click else {})
        return renamed(self.connection, table, names)

    def _check(self, logs: Sequence[Table], users: Table, items: Table) -> None:
        """Check that indices are rows of the other files, and that lists are complete."""
        problems = broken_rules(
            self.connection,
            users,
            [
                Rule(
                    SEQUENCE,
                    f"len(list_filter({SEQUENCE}, lambda v: "
                    f"coalesce(v < 1 OR v >= {items.rows}, true))) > 0",
                    f"hold items that are no rows 1 to {items.rows - 1} of {items.path.name}",
                )
            ],
        )
        for log in logs:
            rules = click_rules(log)
            for column, low, high, where in (
                ("user_index", 0, users.rows, users.path.name),
                ("item_index", 1, items.rows, items.path.name),  # row 0 is padding
            ):
                wrong = f"NOT coalesce({column} BETWEEN {low} AND {high - 1}, false)"
                what = f"are no rows {low} to {high - 1} of {where}"
                rules.append(Rule(column, wrong, what))
            rules.append(Rule("seq_len", "NOT coalesce(seq_len >= 0, false)", "are no lengths"))
            problems += broken_rules(self.connection, log, rules)
        problems = problems or [one for log in logs for one in self._too_long(log, users)]
        raise_all(problems, DataError, "these files do not belong together:")

    def _check_vectors(self, items: Table) -> None:
        """Check the vectors of all items but row 0, which is padding."""
        rows = f"(FROM {_numbered(items.path)} WHERE file_row_number > 0)"
        vector = f"{VECTOR}::DOUBLE[]"
        (width,) = one_row(self.connection, f"SELECT len({vector}) FROM {rows} LIMIT 1") or (0,)
        gaps = f"len(list_filter({vector}, lambda v: NOT coalesce(isfinite(v), false))) > 0"
        rules = [
            Rule(VECTOR, f"{VECTOR} IS NULL OR {gaps}", "are missing or contain no finite numbers"),
            Rule(VECTOR, f"len({vector}) <> {width}", f"differ from the first in width ({width})"),
        ]
        problems = broken_rules(self.connection, replace(items, relation=rows), rules)
        raise_all(problems, DataError, "these vectors cannot be used (row 1 is item_index 1):")

    def _too_long(self, log: Table, users: Table) -> list[str]:
        """Return a problem if rows have a longer history than the list of their user."""
        wrong, longest = one_row(
            self.connection,
            f"""SELECT count(*), max(seq_len) FROM {log.relation} AS log
            JOIN {_numbered(users.path)} AS users ON users.file_row_number = log.user_index
            WHERE seq_len > coalesce(len({SEQUENCE}), 0)""",
        )
        what = f"'seq_len' (at most {longest}) exceed the list of their user in {users.path.name}"
        return [f"{log.path}: {wrong} value(s) of {what}."] * (wrong > 0)


def _numbered(path: Path) -> str:
    """Return SQL of a file with its row numbers, from 0."""
    return f"read_parquet({pattern(path)}, file_row_number = true)"
