"""Import Taobao-MM: advertisements shown by Taobao, long histories, and image vectors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._layouts import require_columns, require_types, write_vectors
from ctrbench.datasets._public import find_optional
from ctrbench.datasets._tables import Rule, Table, broken_rules, read_table, refuse_empty
from ctrbench.datasets._text_files import pattern
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import GivenVersion, Progress, Raw, Source, parse_split
from ctrbench.importing.relations import (
    Relation,
    column_types,
    make_table,
    make_view,
    one_row,
    quoted,
)
from ctrbench.printable import counted
from ctrbench.schema import Field, FieldOwner, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PERIODS = ("train", "test")
LABEL, USER, ITEM, HISTORY = "label_0", "129_1", "205", "150_2_180"  # names of columns are numbers
USER_FIELDS = [f"130_{number}" for number in range(1, 6)]
ITEM_FIELDS = ["206", "213", "214"]  # 206 is the category
SAMPLES = [LABEL, USER, ITEM]
PROFILES = [USER, *USER_FIELDS, HISTORY]
ITEMS = [ITEM, *ITEM_FIELDS]
TYPES = {
    LABEL: ("TINYINT[]", "SMALLINT[]", "INTEGER[]", "BIGINT[]"),
    **dict.fromkeys([USER, *USER_FIELDS, *ITEMS], ("BIGINT",)),
    HISTORY: ("BIGINT[]",),
}
VECTORS, VECTOR = "scl_embedding_int8_p90.parquet", "205_c"
LONGEST = 1000
VALID_SHARE = 0.1
SPLIT = (
    "Train and test are the official files. There is no valid file, and test is never used as "
    "valid."
)
LIMITS = (
    "Each user has one given history per file, which is the same for all impressions of the user. "
    "There are no pictures; fields have the numbers of the official columns."
)
TRUNCATED = (
    "The publisher divided by 127 after truncating to 8 bits: norms are about 0.966, not 1. The "
    "vectors are stored as given."
)


class Layout(StrEnum):
    """The official form of the files."""

    raw = "raw"  # one file each of samples, users and items
    processed = "processed"  # shards with all columns


@dataclass(frozen=True)
class TaobaoMM(Importer):
    """Taobao-MM: impressions of an e-commerce site, histories of 1,000 items, image vectors.

    Get the files from https://huggingface.co/datasets/TaoBao-MM/Taobao-MM (about 139 GB; license
    Apache-2.0 according to a third party). Give the folder with train_samples.parquet (raw), or
    the folder with train/train-shard-000000.parquet (processed).
    """

    default_name: ClassVar[str | None] = "taobao_mm"

    source: Annotated[Path, typer.Option(help="The folder of the raw or of the processed files.")]
    layout: Annotated[
        Layout | None, typer.Option(help="Which files to read, if the folder contains both.")
    ] = None
    latest: Annotated[
        int, typer.Option(min=1, max=LONGEST, help="The number of latest items of a history.")
    ] = LONGEST

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions, one list of clicks per user and file, users and items."""
        progress("reading samples")
        files = self._files(connection)
        notes = _check(connection, files)
        shown = f"{quoted(USER)} <> 0 AND {quoted(ITEM)} <> 0"
        impressions = make_view(
            connection,
            "impressions",
            " UNION ALL ".join(
                f"""SELECT {quoted(USER)} AS user_id, {quoted(ITEM)} AS item_id,
                ({LABEL}[2] = 1)::TINYINT AS click, '{period}' AS period,
                {_key(period)} AS history_key, NULL::INTEGER AS history_length
                FROM {files.samples[period].relation} WHERE {shown}"""
                for period in PERIODS
            ),
        )
        progress("reading users and items")
        histories = make_view(
            connection,
            "histories",
            " UNION ALL ".join(
                f"""SELECT {_key(period)} AS history_key,
                list_filter({quoted(HISTORY)}, lambda v: v <> 0)[-{self.latest}:] AS history
                FROM {files.profiles[period].relation}"""
                for period in PERIODS
            ),
        )
        split = split or parse_split("given")
        versions, about_vectors = self._versions(connection)
        return Raw(
            impressions,
            importer="taobao_mm",
            items=_items(connection, files),
            users=_users(connection, files),
            histories=histories,
            label="label_0 = [0, 1]",
            split=split,
            fields=(*_fields("user", USER_FIELDS), *_fields("item", ITEM_FIELDS)),
            valid_share=VALID_SHARE if split.kind == "given" else None,
            versions=versions,
            notes=(SPLIT, LIMITS, *notes, *about_vectors),
        )

    def _files(self, connection: DuckDBPyConnection) -> _Files:
        """Open the files of the layout that the folder contains."""
        raw = find_optional(self.source, "train_samples.parquet")
        shards = find_optional(self.source, "train/train-shard-000000.parquet")
        if raw and shards and self.layout is None:
            raise ConfigError(
                f"{self.source} contains raw and processed files of the same impressions. Give "
                "--layout raw or --layout processed."
            )
        if self.layout is not Layout.processed and raw:
            return _raw(connection, raw.parent)
        if self.layout is not Layout.raw and shards:
            return _processed(connection, shards.parent.parent)
        raise DataError(
            f"{self.source} contains neither train_samples.parquet nor "
            "train/train-shard-000000.parquet."
        )

    def _versions(
        self, connection: DuckDBPyConnection
    ) -> tuple[tuple[GivenVersion, ...], list[str]]:
        """Return the image vectors, if their file is there, and notes about them."""
        path = find_optional(self.source, VECTORS) or find_optional(self.source.parent, VECTORS)
        if path is None:
            return (), [f"{VECTORS} was not found, so no image vectors were added."]
        table = _open(connection, path, [ITEM, VECTOR])
        require_types(table, {VECTOR: ("TINYINT[]",)})
        file, notes = f"read_parquet({pattern(path)}, file_row_number = true)", [TRUNCATED]
        later = f"""SELECT file_row_number FROM (SELECT file_row_number, row_number() OVER (
            PARTITION BY {quoted(ITEM)} ORDER BY file_row_number) AS place FROM {file} SEMI JOIN (
                SELECT {quoted(ITEM)} FROM {file} GROUP BY 1 HAVING count(*) > 1)
            USING ({quoted(ITEM)})) WHERE place > 1"""
        repeated = [row for (row,) in connection.execute(later).fetchall()]
        source = Source(path, ids_column=ITEM, column=VECTOR)
        if repeated:
            notes.append(
                f"Repeated vectors of items: {len(repeated):,}, dropped; the first is used."
            )
            query = f"""SELECT {quoted(ITEM)} AS item_id, {quoted(VECTOR)} AS vector FROM {file}
                WHERE file_row_number NOT IN ({", ".join(map(str, repeated))})"""
            source = Source(write_vectors(connection, "scl", query))
        return (GivenVersion("scl", source, tuple(notes), origin=path),), []


@dataclass(frozen=True)
class _Files:
    samples: dict[str, Table]  # by period
    profiles: dict[str, Table]  # one row per user
    items: str  # SQL of the rows of items


def _key(period: str) -> str:
    """Return SQL for the key of a user's history in a file; ids are signed 64-bit hashes."""
    return f"(2 * {quoted(USER)}::HUGEINT + {PERIODS.index(period)})"


def _open(connection: DuckDBPyConnection, path: Path, columns: list[str]) -> Table:
    table = refuse_empty(read_table(connection, path))
    require_columns(path, table.types, columns)
    require_types(table, {column: TYPES[column] for column in columns if column in TYPES})
    return table


def _raw(connection: DuckDBPyConnection, folder: Path) -> _Files:
    names = {period: folder / f"{period}_samples.parquet" for period in PERIODS}
    users = {period: folder / f"{period}_user_features.parquet" for period in PERIODS}
    profiles = {period: _open(connection, path, PROFILES) for period, path in users.items()}
    for table in profiles.values():
        query = f"SELECT count(*) - count(DISTINCT {quoted(USER)}) FROM {table.relation}"
        (repeated,) = one_row(connection, query)
        if repeated:
            raise DataError(
                f"{table.path}: {counted(repeated, 'row repeats', 'rows repeat')} a user. Keep one "
                "row per user."
            )
    return _Files(
        {period: _open(connection, path, SAMPLES) for period, path in names.items()},
        profiles,
        f"FROM {_open(connection, folder / 'item_features.parquet', ITEMS).relation}",
    )


def _processed(connection: DuckDBPyConnection, folder: Path) -> _Files:
    samples = {period: _shards(connection, folder / period, period) for period in PERIODS}
    listed = ", ".join(map(quoted, ITEMS))
    items = " UNION ".join(f"SELECT {listed} FROM {t.relation}" for t in samples.values())
    return _Files(
        samples, {period: _profiles(connection, samples[period]) for period in PERIODS}, items
    )


def _shards(connection: DuckDBPyConnection, folder: Path, period: str) -> Table:
    """Open all shards of a period as one table.

    Raises:
        DataError: A shard is missing, or has other columns.
    """
    shards = sorted(folder.glob(f"{period}-shard-*.parquet"))
    if not shards:
        raise DataError(f"{folder} contains no {period}-shard-*.parquet.")
    columns = [*SAMPLES, *USER_FIELDS, *ITEM_FIELDS, HISTORY]
    for shard in shards:
        _open(connection, shard, columns)
    listed = ", ".join(map(pattern, shards))
    relation = make_view(
        connection,
        f"{period} shards",
        f"FROM read_parquet([{listed}], filename = true, file_row_number = true)",
    )
    (rows,) = relation.one_row("count(*)")
    facts = folder / "metadata.json"
    expected = json.loads(facts.read_text()).get("total_rows") if facts.exists() else rows
    if rows != expected:
        raise DataError(
            f"{folder}: {len(shards)} shards have {rows:,} rows, but metadata.json says "
            f"{expected:,}. Get the missing shards."
        )
    types = column_types(connection, str(relation))
    return Table(folder, str(relation), types, rows)


def _profiles(connection: DuckDBPyConnection, samples: Table) -> Table:
    """Return the first row of each user; only row numbers of users are held in memory.

    Raises:
        DataError: A user has several histories.
    """
    first = make_table(
        connection,
        "first rows",
        f"""SELECT arg_min(filename, place) AS filename, arg_min(file_row_number, place)
            AS file_row_number, min(history) <> max(history) AS differs
        FROM (SELECT {quoted(USER)} AS user_id, filename, file_row_number,
            (filename, file_row_number) AS place, hash({quoted(HISTORY)}) AS history
            FROM {samples.relation}) GROUP BY user_id""",
    )
    users, different = first.one_row("count(*), count(*) FILTER (differs)")
    if different:
        raise DataError(
            f"{samples.path}: users with several histories: {different:,} of {users:,}. The "
            "official files have one per user."
        )
    query = f"FROM {samples.relation} SEMI JOIN {first} USING (filename, file_row_number)"
    relation = str(make_view(connection, "profiles", query))
    return Table(samples.path, relation, samples.types, users)


def _check(connection: DuckDBPyConnection, files: _Files) -> list[str]:
    """Check labels, and return notes on missing ids and users without a history."""
    problems, notes = [], []
    wrong = f"NOT coalesce({LABEL}::INTEGER[] IN ([0, 1], [1, 0]), false)"
    for period, table in files.samples.items():
        gaps = [Rule(name, f"{quoted(name)} IS NULL", "are missing") for name in (USER, ITEM)]
        rules = [*gaps, Rule(LABEL, wrong, "are neither [0, 1] nor [1, 0]")]
        problems += broken_rules(connection, table, rules)
        zero, alone = one_row(
            connection,
            f"""SELECT count(*) FILTER ({quoted(USER)} = 0 OR {quoted(ITEM)} = 0),
            count(*) FILTER ({quoted(USER)} NOT IN (
                SELECT {quoted(USER)} FROM {files.profiles[period].relation}))
            FROM {table.relation}""",
        )
        if zero:
            notes.append(f"Rows of {period} with the missing id 0: {zero:,}, dropped.")
        if alone:
            notes.append(f"Rows of {period} whose user has no history: {alone:,}.")
    raise_all(problems, DataError, "these impressions cannot be used:")
    return notes


def _items(connection: DuckDBPyConnection, files: _Files) -> Relation:
    """Return items; of several rows of an item the smallest value counts. 0 is missing."""
    chosen = ", ".join(_value("item", f"min({quoted(name)})", name) for name in ITEM_FIELDS)
    query = f"""SELECT {quoted(ITEM)} AS item_id, {chosen} FROM ({files.items})
        WHERE {quoted(ITEM)} <> 0 GROUP BY 1"""
    return make_table(connection, "items", query)


def _users(connection: DuckDBPyConnection, files: _Files) -> Relation:
    """Return users as of train, where they are in both files. 0 is missing."""
    chosen = ", ".join(_value("user", quoted(name), name) for name in USER_FIELDS)
    train, test = (files.profiles[period].relation for period in PERIODS)
    profile = f"SELECT {quoted(USER)} AS user_id, {chosen}"
    query = f"""{profile} FROM {train} UNION ALL
        {profile} FROM {test} ANTI JOIN {train} USING ({quoted(USER)})"""
    return make_table(connection, "users", query)


def _value(owner: str, value: str, name: str) -> str:
    return f"nullif({value}, 0)::VARCHAR AS {owner}_{name}"


def _fields(owner: FieldOwner, names: list[str]) -> list[Field]:
    return [Field(name=f"{owner}_{name}", of=owner, kind="categorical") for name in names]
