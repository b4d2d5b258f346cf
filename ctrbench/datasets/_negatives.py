"""Draw non-clicks for a log that holds clicks only."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

import numpy as np

from ctrbench.arrays import blocks, rows_within
from ctrbench.errors import DataError
from ctrbench.impressions.database import has_view, one_row, quoted
from ctrbench.seeding import stream

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROUNDS = 10  # of drawing again what was refused; what is left then is drawn one by one
BLOCK = 1 << 20  # clicks drawn for at a time
DRAWN_AT_ONCE = 1 << 26  # and non-clicks drawn for them


class Popularity(StrEnum):
    """How likely an item is drawn."""

    popularity = "popularity"  # by its clicks in the whole log
    uniform = "uniform"  # all items of the log and of the items file alike


def add_negatives(connection: DuckDBPyConnection, number: int, by: Popularity, seed: int) -> int:
    """Replace the table `impressions` by one with `number` non-clicks after each click.

    A non-click is an item that this user clicks nowhere in the log, another one each time; it takes
    the click's time, period, history and context. Where there are timestamps the order of the
    lines changes nothing. Holds 16 bytes a click in memory.

    Returns:
        How many non-clicks there are: fewer than asked for if a user clicked nearly every item.

    Raises:
        DataError: the log holds non-clicks already.
    """
    (others,) = one_row(connection, "SELECT count(*) FROM impressions WHERE click = 0")
    if others:
        raise DataError(
            f"--negatives is for logs of clicks alone; this one holds {others} non-clicks already."
        )
    width = _number_clicks(connection)
    query = f"SELECT user_number * {width} + item_number AS key FROM clicks ORDER BY click_row"
    key = np.asarray(connection.execute(query).fetchnumpy()["key"])
    clicked = np.unique(key)
    weights = np.ones(width, np.int64)
    if by is Popularity.popularity:
        weights = np.bincount(key % width, minlength=width)
    connection.execute("CREATE TABLE drawn (click_row BIGINT, item_number BIGINT)")
    chance = stream(seed, "negatives")
    block = min(BLOCK, rows_within(min(number, width), DRAWN_AT_ONCE))
    for rows in blocks(len(key), block):
        drawn = draw(key[rows] // width, number, clicked, weights, chance)
        _insert(connection, rows.start, drawn)
    connection.execute(
        """CREATE OR REPLACE TABLE impressions AS
        SELECT * EXCLUDE (click_row, user_number, item_number) FROM (
            FROM clicks UNION ALL
            SELECT clicks.* REPLACE (candidates.item_id AS item_id, 0::TINYINT AS click)
            FROM drawn JOIN clicks USING (click_row)
            JOIN candidates ON candidates.number = drawn.item_number)
        ORDER BY click_row, click DESC, item_id"""
    )
    return one_row(connection, "SELECT count(*) FROM drawn")[0]


def draw(
    users: np.ndarray,
    number: int,
    clicked: np.ndarray,
    weights: np.ndarray,
    chance: np.random.Generator,
) -> np.ndarray:
    """Draw items by weight that the user has not clicked and that are not in the row yet.

    A user to whom no more than `number` items are left gets all of them, without a draw.

    Args:
        users: (n,) int64, one row each.
        number: items per row.
        clicked: sorted `user * len(weights) + item` of all clicks.
        weights: (V,) whole numbers.
        chance: the random stream.

    Returns:
        (n, number) int64, or as many columns as items have a weight; -1 where the user has clicked
        all others.
    """
    reached = np.cumsum(weights)
    number = min(number, int(np.count_nonzero(weights)))
    drawn = np.full((len(users), number), -1, np.int64)
    scarce = _give_all(drawn, users, clicked, weights)
    for column in range(number):
        open_rows = np.flatnonzero(~scarce)
        for _ in range(ROUNDS):
            tried = np.searchsorted(
                reached, chance.integers(reached[-1], size=len(open_rows)), "right"
            )
            key = users[open_rows] * len(weights) + tried
            at = np.minimum(np.searchsorted(clicked, key), len(clicked) - 1)
            refused = (clicked[at] == key) | (drawn[open_rows] == tried[:, None]).any(axis=1)
            drawn[open_rows[~refused], column] = tried[~refused]
            open_rows = open_rows[refused]
        for row in open_rows:
            drawn[row, column] = _draw_one(users[row], drawn[row], clicked, weights, chance)
    return drawn


def _give_all(
    drawn: np.ndarray, users: np.ndarray, clicked: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Fill the rows of users to whom no more items are left than a row has; (n,) bool, which."""
    distinct, whose = np.unique(users, return_inverse=True)
    owner, item = np.divmod(clicked, len(weights))
    owner = owner[weights[item] > 0]
    unclicked = np.count_nonzero(weights) - (
        np.searchsorted(owner, distinct, "right") - np.searchsorted(owner, distinct)
    )
    scarce = (unclicked <= drawn.shape[1])[whose]
    rows = np.flatnonzero(scarce)
    rows = rows[np.argsort(whose[rows], kind="stable")]
    for own in np.split(rows, np.flatnonzero(np.diff(whose[rows])) + 1) if len(rows) else ():
        left = np.flatnonzero(_left(int(users[own][0]), clicked, weights))
        drawn[own, : len(left)] = left
    return scarce


def _left(user: int, clicked: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(V,) float64: the weights, 0 where this user has clicked the item."""
    low, high = np.searchsorted(clicked, [user * len(weights), (user + 1) * len(weights)])
    left = weights.astype(np.float64)
    left[clicked[low:high] - user * len(weights)] = 0
    return left


def _draw_one(
    user: int,
    taken: np.ndarray,
    clicked: np.ndarray,
    weights: np.ndarray,
    chance: np.random.Generator,
) -> int:
    """An exact draw from what is left for one user, who has more left than a row holds."""
    left = _left(user, clicked, weights)
    left[taken[taken >= 0]] = 0
    return int(chance.choice(len(left), p=left / left.sum()))


def _number_clicks(connection: DuckDBPyConnection) -> int:
    """Make `clicks`, numbered by row, user and item, and `candidates`; how many of these."""
    sources = ["SELECT item_id FROM impressions"]
    if has_view(connection, "items"):
        sources.append("SELECT item_id FROM items")
    connection.execute(
        f"""CREATE TABLE candidates AS
        SELECT item_id, row_number() OVER (ORDER BY item_id) - 1 AS number
        FROM (SELECT DISTINCT item_id FROM ({" UNION ALL ".join(sources)}))"""
    )
    columns = [row[0] for row in connection.execute("DESCRIBE impressions").fetchall()]
    order = f"ORDER BY {', '.join(map(quoted, columns))}" if "timestamp" in columns else ""
    connection.execute(
        f"""CREATE TABLE clicks AS
        SELECT numbered.*, dense_rank() OVER (ORDER BY user_id) - 1 AS user_number,
            number AS item_number
        FROM (SELECT *, row_number() OVER ({order}) - 1 AS click_row FROM impressions) AS numbered
        JOIN candidates USING (item_id)"""
    )
    return one_row(connection, "SELECT count(*) FROM candidates")[0]


def _insert(connection: DuckDBPyConnection, start: int, drawn: np.ndarray) -> None:
    import pyarrow as pa

    rows, columns = np.nonzero(drawn >= 0)
    chunk = pa.table({"click_row": start + rows, "item_number": drawn[rows, columns]})
    connection.register("chunk", chunk)
    connection.execute("INSERT INTO drawn SELECT click_row, item_number FROM chunk")
    connection.unregister("chunk")
