"""Import EB-NeRD: lists of news articles that readers of Ekstra Bladet saw, with times."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._layouts import require_columns, require_types
from ctrbench.datasets._lists import ColumnOptions
from ctrbench.datasets._public import broken_official, find_file, find_optional
from ctrbench.datasets._tables import Rule, Table, read_table, refuse_empty
from ctrbench.datasets._timestamps import Times, open_times, timestamp_expressions
from ctrbench.errors import DataError, raise_all
from ctrbench.importing import GivenVersion, Progress, Raw, Source, parse_split
from ctrbench.importing.relations import (
    Relation,
    literal,
    make_table,
    make_view,
    one_row,
    quoted,
)
from ctrbench.printable import counted
from ctrbench.raw_ids import INTEGERS
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FOLDERS = {"train": "train", "test": "validation"}  # name of the list of clicks -> folder
SHOWN, CLICKED = "article_ids_inview", "article_ids_clicked"
READER = ["gender", "postcode", "age", "is_sso_user", "is_subscriber"]
BEHAVIORS = ["impression_id", "impression_time", "user_id", SHOWN, CLICKED, "device_type", *READER]
HISTORY = ["user_id", "impression_time_fixed", "article_id_fixed"]
ARTICLE = ["premium", "article_type", "category", "subcategory", "topics", "sentiment_label"]
TYPES = {
    "user_id": INTEGERS,
    "impression_time": ("TIMESTAMP",),
    SHOWN: ("INTEGER[]", "BIGINT[]", "UINTEGER[]"),
    CLICKED: ("INTEGER[]", "BIGINT[]", "UINTEGER[]"),
    "impression_time_fixed": ("TIMESTAMP[]",),
    "article_id_fixed": ("INTEGER[]", "BIGINT[]", "UINTEGER[]"),
}
VECTORS = "image_embeddings.parquet"
VECTOR_COLUMNS = ["article_id", "image_embedding"]
LISTS_AT_ONCE = 1 << 22  # impression lists whose clicks are aggregated at a time
VALID = "INTERVAL 1 DAY"  # the end of the train folder
SPLIT = (
    "Train and valid are the official train folder, whose last 24 hours are valid; test is the "
    "official validation folder. ebnerd_testset has no clicks and is not used."
)
EXCLUDED = (
    "Excluded because they are known only after the impression: next_read_time, "
    "next_scroll_percentage, read_time and scroll_percentage; total_inviews, total_pageviews and "
    "total_read_time of articles."
)
FIXED = (
    "Histories are the clicks before the impression's period: the 21 days of history.parquet, and "
    "in valid also the clicks of train."
)
RECENT = (
    "Histories are the 21 days of history.parquet and the clicks before the impression. GAUC per "
    "user is then biased: give --lists --snapshot session --snapshot-column impression_id."
)
NO_VECTORS = (
    f"No {VECTORS} was found beside the folder, so no image vectors were added. Give --vectors."
)


class HistoryEnd(StrEnum):
    """When the history of an impression ends."""

    period = "period"  # at the start of its period, as in the official files
    impression = "impression"


@dataclass(frozen=True)
class _Moments:
    """Where periods begin, as SQL."""

    train: str
    valid: str
    test: str


@dataclass(frozen=True)
class EBNeRD(Importer):
    """EB-NeRD: impression lists of a news site, with times and image vectors of articles.

    Get ebnerd_demo, ebnerd_small or ebnerd_large, and Ekstra_Bladet_image_embeddings, from
    https://recsys.eb.dk after agreeing to the terms, which allow research. Unpack both archives
    into one folder. Columns that are known only after the impression, such as read_time and
    next_read_time, never become fields.
    """

    default_name: ClassVar[str | None] = "ebnerd"

    source: Annotated[
        Path, typer.Option(help="The folder that contains articles.parquet, train and validation.")
    ]
    vectors: Annotated[
        Path | None,
        typer.Option(help="image_embeddings.parquet, if it is not found beside the folder."),
    ] = None
    histories: Annotated[
        HistoryEnd,
        typer.Option(
            help="Where histories end: at the start of the impression's period (as the official "
            "ones), or before the impression (GAUC then needs --lists)."
        ),
    ] = HistoryEnd.period
    lists: Annotated[
        bool,
        typer.Option(
            "--lists",
            help="Read impression_id, so that --snapshot session --snapshot-column impression_id "
            "evaluates every list separately. It is never a field.",
        ),
    ] = False

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create one impression per article shown, and the list of each reader's clicks."""
        progress("reading impressions")
        logs = {name: self._open(connection, name, "behaviors") for name in FOLDERS}
        past = {name: self._open(connection, name, "history") for name in FOLDERS}
        times = open_times(connection, [*logs.values()], "impression_time")
        notes = _check(connection, logs, past, times)
        moments, more = timestamp_expressions(connection, times)
        begin = _begin(connection, logs)
        progress("reading histories")
        clicks, late = _clicks(connection, logs, past, begin)
        selects = [
            self._select(log.relation, clicks, name, moment, begin)
            for (name, log), moment in zip(logs.items(), moments, strict=True)
        ]
        impressions = make_view(connection, "impressions", " UNION ALL ".join(selects))
        progress("reading articles and readers")
        articles = find_file(self.source, "articles.parquet")
        items, fields = _articles(connection, articles)
        require_common_ids(items, "item_id", articles, impressions)
        users, of_users = _readers(connection, logs)
        versions = self._versions(connection)
        fields.append(Field(name="device_type", of="context", kind="categorical"))
        return Raw(
            impressions,
            importer="ebnerd",
            items=items,
            users=users,
            histories=make_view(
                connection, "histories", f"SELECT history_key, history FROM {clicks}"
            ),
            label="the article is in article_ids_clicked",
            split=split or parse_split("given"),
            fields=(*fields, *of_users),
            units=("impression_id",) * self.lists,
            versions=versions,
            notes=(
                SPLIT,
                EXCLUDED,
                FIXED if self.histories is HistoryEnd.period else RECENT,
                *notes,
                *more,
                *[f"Clicks of history.parquet after their period begins: {late:,}, excluded."]
                * (late > 0),
                *[NO_VECTORS] * (not versions),
            ),
        )

    def _open(self, connection: DuckDBPyConnection, name: str, file: str) -> Table:
        path = find_file(self.source, f"{FOLDERS[name]}/{file}.parquet")
        table = refuse_empty(read_table(connection, path))
        columns = BEHAVIORS if file == "behaviors" else HISTORY
        require_columns(path, table.types, columns)
        require_types(table, {column: TYPES[column] for column in columns if column in TYPES})
        return table

    def _select(self, log: str, clicks: Relation, name: str, moment: str, begin: _Moments) -> str:
        """Return SQL of one row per article shown in the lists of a folder."""
        if self.histories is HistoryEnd.impression:
            length = "len(list_filter(times, lambda t: t < impression_time))"
        elif name == "test":
            length = "before_period"
        else:
            length = f"CASE WHEN impression_time < {begin.valid} THEN before_period "
            length += "ELSE before_valid END"
        period = "'test'"
        if name == "train":
            period = f"CASE WHEN impression_time < {begin.valid} THEN 'train' ELSE 'valid' END"
        named = ", impression_id::VARCHAR AS impression_id" * self.lists
        key = _key("log.user_id", name)
        rows = f"""SELECT log.user_id::BIGINT AS user_id, {moment} AS timestamp,
            {period} AS period, {key} AS history_key, coalesce({length}, 0) AS history_length,
            unnest(list_distinct({SHOWN}::BIGINT[])) AS item_id,
            coalesce({CLICKED}::BIGINT[], []) AS clicked,
            device_type::VARCHAR AS device_type{named}
            FROM {log} AS log LEFT JOIN {clicks} AS clicks ON clicks.history_key = {key}"""
        return f"""SELECT * EXCLUDE (clicked), list_contains(clicked, item_id)::TINYINT AS click
            FROM ({rows})"""

    def _versions(self, connection: DuckDBPyConnection) -> tuple[GivenVersion, ...]:
        """Return the image vectors of articles, if their file is there."""
        path = self.vectors
        for folder in (self.source, self.source.parent) if path is None else ():
            path = path or find_optional(folder, VECTORS)
        if path is None:
            return ()
        table = read_table(connection, path)
        require_columns(path, table.types, VECTOR_COLUMNS)
        source = Source(path, ids_column=VECTOR_COLUMNS[0], column=VECTOR_COLUMNS[1])
        return (GivenVersion("image", source, ("Image vectors of the publisher.",)),)


def _key(user: str, name: str) -> str:
    """Return SQL for the key of a user's list of clicks: one per folder."""
    return f"(2 * {user}::BIGINT + {int(name == 'test')})"


def _check(
    connection: DuckDBPyConnection,
    logs: dict[str, Table],
    past: dict[str, Table],
    times: list[Times],
) -> list[str]:
    """Check values, and return notes on repeated and unshown articles."""
    problems, notes = [], []
    for (name, log), time in zip(logs.items(), times, strict=True):
        rules = [*id_rules(log, "user_id", "whole"), *time.rules()]
        rules += [_no_gaps(column) for column in (SHOWN, CLICKED)]
        problems += broken_official(connection, log, rules)
        unequal = "len(article_id_fixed) IS DISTINCT FROM len(impression_time_fixed)"
        what = "differ in number from impression_time_fixed"
        rules = [*id_rules(past[name], "user_id", "whole"), _no_gaps("article_id_fixed")]
        rules += [_no_gaps("impression_time_fixed"), Rule("article_id_fixed", unequal, what)]
        problems += broken_official(connection, past[name], rules)
        query = f"SELECT count(*) - count(DISTINCT user_id) FROM {past[name].relation}"
        (repeated,) = one_row(connection, query)
        problems += [
            f"{past[name].path}: {counted(repeated, 'row repeats', 'rows repeat')} a user."
        ] * (repeated > 0)
        repeated, unshown = one_row(
            connection,
            f"""SELECT coalesce(sum(len({SHOWN}) - len(list_distinct({SHOWN}))), 0)::BIGINT,
            coalesce(sum(len(list_filter({CLICKED}, lambda v: NOT list_contains({SHOWN}, v)))), 0)
            ::BIGINT FROM {log.relation}""",
        )
        folder = FOLDERS[name]
        if repeated:
            notes.append(f"Repeated articles of lists in {folder}: {repeated:,}, merged.")
        if unshown:
            notes.append(
                f"Clicked articles in {folder} that are not in the list shown: {unshown:,}."
            )
    raise_all(problems, DataError, "these impressions cannot be used:")
    return notes


def _no_gaps(column: str) -> Rule:
    return Rule(column, f"len(list_filter({column}, lambda v: v IS NULL)) > 0", "contain nulls")


def _begin(connection: DuckDBPyConnection, logs: dict[str, Table]) -> _Moments:
    """Return where periods begin.

    Raises:
        DataError: The train folder ends after the validation folder begins, or is too short.
    """
    time = "impression_time::TIMESTAMP"
    first, cut, last = one_row(
        connection,
        f"""SELECT min({time}), max({time}) - {VALID}, max({time})
        FROM {logs["train"].relation}""",
    )
    (test,) = one_row(connection, f"SELECT min({time}) FROM {logs['test'].relation}")
    if last >= test:
        raise DataError(
            f"{logs['train'].path} ends at {last}, after {logs['test'].path} begins ({test}). Use "
            "train and validation of one official archive."
        )
    if cut <= first:
        raise DataError(
            f"{logs['train'].path} covers less than a day ({first} to {last}), and its last 24 "
            "hours are the valid period. Use the official files."
        )
    return _Moments(*(f"TIMESTAMP {literal(moment)}" for moment in (first, cut, test)))


def _clicks(
    connection: DuckDBPyConnection,
    logs: dict[str, Table],
    past: dict[str, Table],
    begin: _Moments,
) -> tuple[Relation, int]:
    """Return each reader's lists of clicks, oldest first, and the number of excluded clicks.

    A list is that of a folder's history.parquet, followed by the clicks of its behaviors.parquet.
    Only the latter are aggregated, for some of the readers at a time, since lists of all clicks
    would not fit in memory.
    """
    tables, late = [], 0
    for name in FOLDERS:
        start = begin.train if name == "train" else begin.test
        (excluded,) = one_row(
            connection,
            f"""SELECT coalesce(sum(given - len(pairs)), 0)::BIGINT
            FROM ({_before(past[name], name, start)})""",
        )
        late += excluded
        parts = 1 + logs[name].rows // LISTS_AT_ONCE
        for part in range(parts):
            some = f"WHERE abs(user_id::BIGINT) % {parts} = {part}"
            query = f"""SELECT history_key, list_transform(before || recent, lambda p: p.item)
                AS history, list_transform(before || recent, lambda p: p.time) AS times,
                len(before) AS before_period, len(before) + len(list_filter(recent,
                lambda p: p.time < {begin.valid})) AS before_valid
                FROM (SELECT history_key, coalesce(a.pairs, []) AS before,
                    coalesce(b.pairs, []) AS recent
                    FROM ({_before(past[name], name, start)} {some}) AS a
                    FULL JOIN ({_recent(logs[name], name, some)}) AS b USING (history_key))"""
            tables.append(make_table(connection, f"clicks of {name}", query))
    union = " UNION ALL ".join(f"FROM {table}" for table in tables)
    return make_view(connection, "clicks", union), late


def _before(past: Table, name: str, start: str) -> str:
    """Return SQL of the clicks of history.parquet before a moment, one row per reader."""
    pairs = """list_transform(range(1, len(article_id_fixed) + 1), lambda i: {
        'time': impression_time_fixed[i]::TIMESTAMP, 'item': article_id_fixed[i]::BIGINT})"""
    return f"""SELECT {_key("user_id", name)} AS history_key, len(article_id_fixed) AS given,
        list_filter(list_sort({pairs}), lambda p: p.time < {start}) AS pairs FROM {past.relation}"""


def _recent(log: Table, name: str, some: str) -> str:
    """Return SQL of the clicks of behaviors.parquet, one row per reader."""
    return f"""SELECT history_key, list_sort(list(pair)) AS pairs FROM (
        SELECT {_key("user_id", name)} AS history_key, {{'time': impression_time::TIMESTAMP,
        'item': unnest(list_distinct({CLICKED}))::BIGINT}} AS pair FROM {log.relation} {some})
        GROUP BY history_key"""


def _articles(connection: DuckDBPyConnection, path: Path) -> tuple[Relation, list[Field]]:
    """Return articles with the fields that are known when an article is published."""
    table = refuse_empty(read_table(connection, path))
    require_columns(path, table.types, ["article_id", "title", *ARTICLE])
    require_types(table, {"article_id": INTEGERS})
    problems = broken_official(connection, table, id_rules(table, "article_id", "whole"))
    raise_all(problems, DataError, "these articles cannot be used:")
    options = ColumnOptions(kinds={"title": "text"})
    fields, (values,) = read_fields(connection, [table], ["title", *ARTICLE], "item", options)
    chosen = [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]
    query = f"SELECT article_id::BIGINT AS item_id, {', '.join(chosen)} FROM {table.relation}"
    return make_entities(connection, "items", "item_id", query, str(path)), fields


def _readers(
    connection: DuckDBPyConnection, logs: dict[str, Table]
) -> tuple[Relation, list[Field]]:
    """Return readers as of their first impression; what changes later is not known before."""
    columns = ", ".join(
        f"arg_min({name}::VARCHAR, impression_time::TIMESTAMP) AS {name}" for name in READER
    )
    both = " UNION ALL ".join(
        f"SELECT user_id, impression_time, {', '.join(READER)} FROM {log.relation}"
        for log in logs.values()
    )
    query = f"SELECT user_id::BIGINT AS user_id, {columns} FROM ({both}) GROUP BY user_id"
    fields = [Field(name=name, of="user", kind="categorical") for name in READER]
    return make_table(connection, "users", query), fields
