"""Import AmazonElectronics_x1: reviews of electronics, each with one sampled non-click."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._log import click_rules
from ctrbench.datasets._public import find_file, open_official
from ctrbench.datasets._tables import Rule, Table, broken_rules, missing, renamed
from ctrbench.errors import DataError, raise_all
from ctrbench.importing import Progress, Raw, parse_split
from ctrbench.importing.relations import Relation, make_table, make_view, one_row
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS = ["label", "user_id", "item_id", "cate_id", "item_history", "cate_history"]
NAMES = {"label": "click", "item_history": "history"}
NUMBER = "[0-9]+"
JOINED = "[0-9]+(\\^[0-9]+)*"  # an item 0 is a real item
SAMPLED = (
    "Clicks are reviews. The publisher sampled one uniform non-click per click, so predicted click "
    "rates have no meaning."
)
SPLIT = (
    "Periods: test is the official test.csv, the last review of each user; valid is each user's "
    "longest history in train.csv, the review before; train is the rest. (BARS selects models "
    "on test.)"
)
PAIRS = (
    "Test contains one pair per user, so a user's AUC is 0, 0.5 or 1, and GAUC is the share of "
    "pairs in the right order."
)
NO_IMAGES = (
    "The set has no pictures and no vectors, and its item numbers cannot be traced to products: it "
    "supports the baseline only."
)


@dataclass(frozen=True)
class AmazonElectronics(Importer):
    """AmazonElectronics_x1 of BARS: reviews and sampled non-clicks, without images.

    Get train.csv and test.csv from https://huggingface.co/datasets/reczoo/AmazonElectronics_x1. No
    license is stated.
    """

    default_name: ClassVar[str | None] = "amazon_electronics"

    source: Annotated[Path, typer.Option(help="The folder that contains train.csv and test.csv.")]

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions with given histories; read categories of items."""
        progress("reading impressions")
        train, test = (
            renamed(connection, table, {name: NAMES.get(name, name) for name in ROWS})
            for table in (
                open_official(connection, find_file(self.source, f"{part}.csv"), ROWS)
                for part in ("train", "test")
            )
        )
        problems = broken_rules(connection, train, _rules(train))
        problems += broken_rules(connection, test, _rules(test))
        raise_all(problems, DataError, "these impressions cannot be used:")
        whole_test = f"(SELECT *, 'test' AS period FROM {test.relation})"
        impressions = make_view(
            connection,
            "impressions",
            f"{_select(_divided(connection, train))} UNION ALL {_select(whole_test)}",
        )
        progress("reading items")
        query = " UNION ALL ".join(
            f"SELECT item_id::BIGINT AS item_id, cate_id FROM {table.relation}"
            for table in (train, test)
        )
        items = make_entities(connection, "items", "item_id", query, str(self.source))
        return Raw(
            impressions,
            importer="amazon_electronics",
            items=items,
            label="label = 1",
            split=split or parse_split("given"),
            fields=(Field(name="cate_id", of="item", kind="categorical"),),
            notes=(SAMPLED, SPLIT, *_pair_notes(connection, test), NO_IMAGES),
        )


def _rules(table: Table) -> list[Rule]:
    rules = [
        *click_rules(table),
        missing(table, "cate_id"),
        *id_rules(table, "user_id", "text"),
        *id_rules(table, "item_id", "text"),
    ]
    for name, form in {"user_id": NUMBER, "item_id": NUMBER, "history": JOINED}.items():
        wrong = f"coalesce({name}, '') <> '' AND NOT regexp_full_match({name}, '{form}')"
        rules.append(Rule(name, wrong, "are not numbers joined by ^"))
    uneven = "len(string_split(history, '^')) <> len(string_split(cate_history, '^'))"
    rules.append(Rule("cate_history", uneven, "are not aligned with item_history"))
    return rules


def _divided(connection: DuckDBPyConnection, train: Table) -> Relation:
    """Return the rows of train, of which those with a user's longest history are valid."""
    length = "len(string_split(history, '^'))"
    longest = make_table(
        connection,
        "longest histories",
        f"""SELECT user_id, max({length}) AS longest FROM {train.relation}
        GROUP BY user_id HAVING count(DISTINCT {length}) > 1""",
    )
    return make_table(
        connection,
        "divided rows",
        f"""SELECT * EXCLUDE (longest, line),
            CASE WHEN {length} = longest THEN 'valid' ELSE 'train' END AS period
        FROM (SELECT *, row_number() OVER () AS line FROM {train.relation})
        LEFT JOIN {longest} USING (user_id) ORDER BY line""",
    )


def _select(rows: Relation | str) -> str:
    ids = "list_filter(string_split(history, '^'), lambda v: v <> '')::BIGINT[]"
    return f"""SELECT user_id::BIGINT AS user_id, item_id::BIGINT AS item_id,
        click::TINYINT AS click, period, coalesce({ids}, []) AS history FROM {rows}"""


def _pair_notes(connection: DuckDBPyConnection, test: Table) -> list[str]:
    """Return the note on pairs if every user of the test has one click and one non-click."""
    (pairs,) = one_row(
        connection,
        f"""SELECT bool_and(n = 2 AND clicks = 1) FROM (SELECT count(*) AS n,
        sum(click::INTEGER) AS clicks FROM {test.relation} GROUP BY user_id)""",
    )
    return [PAIRS] if pairs else []
