"""Import TaobaoAd_x1: clicks on advertisements, without images; a baseline only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._log import click_rules
from ctrbench.datasets._public import find_file, open_official
from ctrbench.datasets._tables import Rule, Table, broken_rules, not_a_number, number, renamed, text
from ctrbench.errors import DataError, raise_all
from ctrbench.importing import Progress, Raw, parse_split
from ctrbench.importing.relations import make_view, one_row
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LISTS = ("btag_his", "cate_his", "brand_his")
OF_USERS = (
    *("cms_segid", "cms_group_id", "final_gender_code", "age_level", "pvalue_level"),
    *("shopping_level", "occupation", "new_user_class_level"),
)
OF_ADS = ("cate_id", "campaign_id", "customer", "brand")
ROWS = ["clk", *LISTS, "userid", *OF_USERS, "adgroup_id", *OF_ADS, "price", "pid", "btag"]
NAMES = {"clk": "click", "userid": "user_id", "adgroup_id": "item_id"}
CATEGORIES = (*OF_USERS, *OF_ADS, "pid")
VALID_SHARE = 1 / 7  # of train, which has seven days
TEST = "'test'"  # SQL
JOINED = "[^\\^ ]+(\\^[^\\^ ]+)*"
SPLIT = (
    "Periods: test is the official test.csv (the eighth day); valid is the last seventh of the "
    "rows of train.csv (seven days, sorted by time); train is the rest. (BARS selects models "
    "on test.) No column states the day."
)
HISTORIES = (
    "The histories contain categories, brands and behaviours, not items, and are not aligned. They "
    "become list fields, and the click history of every impression is empty."
)
NO_IMAGES = "The set has no pictures and no vectors: it supports the baseline only."
ZERO = (
    "0 means a missing value, and in some columns a real one; it is a category. A price of 0 is "
    "missing."
)
IDS = "Published ids are mapped imperfectly: more test ids are unseen in train than in the source."


@dataclass(frozen=True)
class TaobaoAd(Importer):
    """TaobaoAd_x1 of BARS: impressions of advertisements on Taobao, without images.

    Get train.csv and test.csv from https://huggingface.co/datasets/reczoo/TaobaoAd_x1. The source
    is Tianchi data set 56, under CC BY-NC-SA 4.0 according to its page.
    """

    default_name: ClassVar[str | None] = "taobao_ad"

    source: Annotated[Path, typer.Option(help="The folder that contains train.csv and test.csv.")]

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions with lists of categories, brands and behaviours."""
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
        first = train.rows - round(train.rows * VALID_SHARE)  # of valid
        period = f"CASE WHEN row_number() OVER () <= {first} THEN 'train' ELSE 'valid' END"
        impressions = make_view(
            connection,
            "impressions",
            f"{_select(train, period)} UNION ALL {_select(test, TEST)}",
        )
        fields = [
            *(Field(name=name, of="context", kind="list") for name in LISTS),
            *(Field(name=name, of="context", kind="categorical") for name in CATEGORIES),
            Field(name="price", of="context", kind="numeric"),
        ]
        return Raw(
            impressions,
            importer="taobao_ad",
            label="clk = 1",
            split=split or parse_split("given"),
            fields=tuple(fields),
            notes=(SPLIT, HISTORIES, NO_IMAGES, ZERO, IDS, *_constant(connection, train, test)),
        )


def _rules(table: Table) -> list[Rule]:
    rules = [
        *click_rules(table),
        *id_rules(table, "user_id", "text"),
        *id_rules(table, "item_id", "text"),
        not_a_number(table, "price"),
    ]
    for name in LISTS:
        wrong = f"coalesce({name}, '') <> '' AND NOT regexp_full_match({name}, '{JOINED}')"
        rules.append(Rule(name, wrong, "are not values joined by ^"))
    return rules


def _select(table: Table, period: str) -> str:
    lists = [
        f"coalesce(list_filter(string_split({name}, '^'), lambda v: v <> ''), []) AS {name}"
        for name in LISTS
    ]
    categories = [f"{text(table, name)} AS {name}" for name in CATEGORIES]
    return f"""SELECT user_id, item_id, click::TINYINT AS click, {period} AS period,
        []::VARCHAR[] AS history, {", ".join([*lists, *categories])},
        nullif({number(table, "price")}, 0)::FLOAT AS price FROM {table.relation}"""


def _constant(connection: DuckDBPyConnection, *tables: Table) -> list[str]:
    """Return a note on the constant column btag, which is left out.

    Raises:
        DataError: The column varies.
    """
    union = " UNION ".join(f"SELECT DISTINCT btag FROM {table.relation}" for table in tables)
    (values,) = one_row(connection, f"SELECT list(btag ORDER BY btag) FROM ({union})")
    if len(values) > 1:
        raise DataError(
            f"{tables[0].path}: btag has the values {', '.join(map(str, values[:5]))}, but it is "
            "constant in the official files. Use them."
        )
    return [f"btag is {values[0]} in every row and is excluded."]
