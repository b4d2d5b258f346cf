"""Import purchases of H&M, from the files of the Kaggle competition."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._negatives import Popularity, Sampling
from ctrbench.datasets._public import (
    broken_official,
    find_file,
    find_optional,
    open_official,
)
from ctrbench.datasets._tables import Rule, Table, not_a_number, number, text
from ctrbench.datasets._timestamps import open_times, timestamp_expressions
from ctrbench.errors import DataError, raise_all
from ctrbench.importing import Progress, Raw, parse_split
from ctrbench.importing.relations import Relation, make_table, one_row
from ctrbench.printable import counted
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PURCHASES = ["t_dat", "customer_id", "article_id", "price", "sales_channel_id"]
CUSTOMERS = [
    *("customer_id", "FN", "Active", "club_member_status", "fashion_news_frequency", "age"),
    "postal_code",
]
ARTICLES = [
    *("article_id", "product_code", "prod_name", "product_type_no", "product_type_name"),
    *("product_group_name", "graphical_appearance_no", "graphical_appearance_name"),
    *("colour_group_code", "colour_group_name", "perceived_colour_value_id"),
    *("perceived_colour_value_name", "perceived_colour_master_id"),
    *("perceived_colour_master_name", "department_no", "department_name", "index_code"),
    *("index_name", "index_group_no", "index_group_name", "section_no", "section_name"),
    *("garment_group_no", "garment_group_name", "detail_desc"),
]
TEXTS = ("prod_name", "detail_desc")
CATEGORIES = [  # of a code and its name, the name; the product groups articles of one cut
    *("product_code", "product_type_name", "product_group_name", "graphical_appearance_name"),
    *("colour_group_name", "perceived_colour_value_name", "perceived_colour_master_name"),
    *("department_name", "index_name", "index_group_name", "section_name", "garment_group_name"),
]
OF_CUSTOMERS = ("FN", "Active", "club_member_status", "fashion_news_frequency")
WEEK = 7 * 86_400  # seconds
DIGITS = 10  # of an article_id
ONLY = "The log contains purchases only."
SPLIT = (
    "Periods follow the competition, which predicts the week after the log: test is the last 7 "
    "days, valid the 7 days before, train everything earlier."
)
DAYS = "Times are days: purchases of one day are never in each other's history."
NO_CONTEXT = (
    "price and sales_channel_id describe the purchase, so they would reveal sampled non-clicks. "
    "They are excluded. Fields of customers are as of the end of the log."
)


@dataclass(frozen=True)
class HM(Importer):
    """Purchases of H&M with sampled non-clicks; pictures of most articles.

    Get transactions_train.csv, articles.csv, customers.csv and, for pictures, the folder images
    from https://www.kaggle.com/competitions/h-and-m-personalized-fashion-recommendations/data and
    unpack them into one folder. The rules of the competition apply; they exclude commercial use.
    """

    default_name: ClassVar[str | None] = "hm"

    source: Annotated[Path, typer.Option(help="The folder that contains transactions_train.csv.")]
    images: Annotated[
        Path | None,
        typer.Option(help="The folder images, of <first 3 digits>/<article_id>.jpg."),
    ] = None
    last_days: Annotated[
        int | None, typer.Option(min=21, help="Import the last days of the log only.")
    ] = None
    negatives: Annotated[int, typer.Option(min=1, help="Non-clicks to sample per purchase.")] = 4
    negatives_by: Annotated[
        Popularity, typer.Option(help="Sampling weights of items: their purchases, or uniform.")
    ] = Popularity.popularity
    seed: Annotated[int, typer.Option(help="Seed for sampling non-clicks.")] = 0

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions from purchases and sampled non-clicks; read articles, customers."""
        progress("reading purchases")
        table = open_official(
            connection, find_file(self.source, "transactions_train.csv"), PURCHASES
        )
        articles = open_official(connection, find_file(self.source, "articles.csv"), ARTICLES)
        _require_zeros(connection, table, articles)
        clicks, notes, counts = self._clicks(connection, table, split is None)
        progress("reading articles and customers")
        items, fields = _articles(connection, articles, clicks)
        users, user_fields = _customers(connection, self.source, clicks)
        progress("sampling non-clicks")
        sampling = Sampling(self.negatives, self.negatives_by, self.seed)
        impressions, drawn, sampled = sampling.add(clicks, items, ONLY)
        return Raw(
            impressions,
            importer="hm",
            items=items,
            users=users,
            label="a purchase",
            split=split or parse_split("given"),
            fields=(*fields, *user_fields),
            images=self.images,
            notes=(sampled, *notes, *([] if split else [SPLIT]), DAYS, NO_CONTEXT),
            counts=counts | drawn,
        )

    def _clicks(
        self, connection: DuckDBPyConnection, table: Table, with_period: bool
    ) -> tuple[Relation, list[str], dict[str, int]]:
        """Return one click per distinct purchase, notes, and counts."""
        times = open_times(connection, [table], "t_dat")
        rules = [*id_rules(table, "customer_id", "text"), *times[0].rules()]
        raise_all(
            broken_official(connection, table, rules), DataError, "these purchases cannot be used:"
        )
        (moment,), notes = timestamp_expressions(connection, times)
        rows = f"SELECT *, {moment} AS timestamp FROM {table.relation}"
        query = f"SELECT max({moment}) FROM {table.relation}"
        (last,) = one_row(connection, query)
        if self.last_days:
            first = last - (self.last_days - 1) * 86_400
            rows = f"SELECT * FROM ({rows}) WHERE timestamp >= {first}"
        (every,) = one_row(connection, f"SELECT count(*) FROM ({rows})")
        period = f"""CASE WHEN timestamp > {last - WEEK} THEN 'test'
            WHEN timestamp > {last - 2 * WEEK} THEN 'valid' ELSE 'train' END AS period,"""
        clicks = make_table(
            connection,
            "clicks",
            f"""SELECT customer_id AS user_id, article_id AS item_id, 1::TINYINT AS click,
            {period * with_period} timestamp
            FROM (SELECT DISTINCT timestamp, customer_id, article_id, price, sales_channel_id
                FROM ({rows}))""",
        )
        repeated = every - clicks.one_row("count(*)")[0]
        found = list(notes)
        if self.last_days:
            days = counted(self.last_days, "day")
            found.append(f"Purchases before the last {days} of the log were left out.")
        if repeated:
            found.append(
                f"Rows that repeat another row exactly (a quantity of several): {repeated:,}; each "
                "such purchase is one click."
            )
        return clicks, found, {"repeated_rows": repeated}


def _require_zeros(connection: DuckDBPyConnection, purchases: Table, articles: Table) -> None:
    """Check that article ids have their ten digits.

    Raises:
        DataError: Ids lost their leading zero, or are not article ids.
    """
    problems = []
    for table in (purchases, articles):
        query = f"SELECT min(length(article_id)), max(length(article_id)) FROM {table.relation}"
        if one_row(connection, query) == (DIGITS - 1, DIGITS - 1):
            problems.append(
                f"{table.path}: every article_id has {DIGITS - 1} digits. A program read the ids "
                f"as numbers and removed their leading zero. Use the official file, whose ids have "
                f"{DIGITS} digits and begin with 0."
            )
            continue
        wrong = f"NOT coalesce(regexp_full_match(article_id, '[0-9]{{{DIGITS}}}'), false)"
        rule = Rule("article_id", wrong, f"are not {DIGITS} digits")
        problems += broken_official(connection, table, [rule])
    raise_all(problems, DataError, "these article ids cannot be used:")


def _articles(
    connection: DuckDBPyConnection, table: Table, clicks: Relation
) -> tuple[Relation, list[Field]]:
    columns = [*CATEGORIES, *TEXTS]
    query = f"SELECT article_id AS item_id, {', '.join(columns)} FROM {table.relation}"
    items = make_entities(connection, "items", "item_id", query, str(table.path))
    require_common_ids(items, "item_id", table.path, clicks)
    fields = [Field(name=name, of="item", kind="categorical") for name in CATEGORIES]
    return items, fields + [Field(name=name, of="item", kind="text") for name in TEXTS]


def _customers(
    connection: DuckDBPyConnection, source: Path, clicks: Relation
) -> tuple[Relation | None, list[Field]]:
    """Return the fields of customers; "NONE" and "None" are both values."""
    path = find_optional(source, "customers.csv")
    if path is None:
        return None, []
    table = open_official(connection, path, CUSTOMERS)
    rules = [*id_rules(table, "customer_id", "text"), not_a_number(table, "age")]
    raise_all(
        broken_official(connection, table, rules), DataError, "these customers cannot be used:"
    )
    chosen = ", ".join(f"{text(table, name)} AS {name}" for name in OF_CUSTOMERS)
    query = f"""SELECT customer_id AS user_id, {chosen}, ({number(table, "age")})::FLOAT AS age
        FROM {table.relation}"""
    users = make_entities(connection, "users", "user_id", query, str(path))
    require_common_ids(users, "user_id", path, clicks)
    fields = [Field(name=name, of="user", kind="categorical") for name in OF_CUSTOMERS]
    return users, [*fields, Field(name="age", of="user", kind="numeric")]
