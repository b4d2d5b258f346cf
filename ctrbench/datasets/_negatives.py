"""Sample non-clicks for a log that holds only clicks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ctrbench.arrays import blocks, rows_within
from ctrbench.errors import DataError
from ctrbench.importing.relations import Relation, fill_table, make_table, quoted
from ctrbench.schema import LABEL
from ctrbench.seeding import stream

ROUNDS = 10  # rounds of rejection sampling; the remaining rows are sampled exactly, one by one
BLOCK = 1 << 20  # clicks per block
DRAWN_AT_ONCE = 1 << 26  # non-clicks per block
DRAWN = {"click_row": "BIGINT", "item_number": "BIGINT"}


class Popularity(StrEnum):
    """The sampling weight of an item."""

    popularity = "popularity"  # its clicks in the whole log
    uniform = "uniform"  # the same for all items of the log and of the items file


@dataclass(frozen=True)
class Sampling:
    """How non-clicks are sampled for a log of clicks only."""

    number: int  # per click
    by: Popularity
    seed: int

    def add(
        self, clicks: Relation, items: Relation | None, why: str = ""
    ) -> tuple[Relation, dict[str, int], str]:
        """Return the clicks with sampled non-clicks, the counts, and the note.

        Args:
            clicks: A table of clicks, which is dropped.
            items: Items that may be sampled besides those of the log.
            why: Why the log lacks non-clicks, as a sentence; empty: the user knows.

        Raises:
            DataError: The log holds non-clicks.
        """
        (wanted,) = clicks.one_row(f"count(*) * {self.number}")
        impressions, drawn = add_negatives(clicks, items, self.number, self.by, self.seed)
        uniform = self.by is Popularity.uniform
        how = "uniformly" if uniform else "by clicks in the whole log"
        note = (
            f"{why} {drawn:,} non-clicks were sampled, {self.number} per click, {how} (seed "
            f"{self.seed}), among items that the user never clicks. The sampling uses future "
            "clicks and determines the CTR, so predicted click rates have no meaning."
            + f" {wanted - drawn:,} could not be sampled, because users clicked nearly all items."
            * (wanted > drawn)
        )
        return impressions, {"drawn_negatives": drawn}, note.lstrip()


def add_negatives(
    impressions: Relation, items: Relation | None, number: int, by: Popularity, seed: int
) -> tuple[Relation, int]:
    """Return the impressions with `number` non-clicks after each click.

    The given table is dropped.

    The non-clicks of a click are distinct items that its user never clicks in the log. They have
    the click's time, period, history and context. If the log has timestamps, the result does not
    depend on the order of its lines. Requires 16 bytes of memory per click.

    Args:
        impressions: A table of clicks.
        items: The items of the items file, if there is one.
        number: Non-clicks per click, at least 1.
        by: The sampling weights of items.
        seed: The seed of the random stream.

    Returns:
        The impressions, and the number of non-clicks. It is smaller than requested if a user
        clicks nearly every item.

    Raises:
        DataError: The log already holds non-clicks.
    """
    connection = impressions.connection
    (others,) = impressions.one_row("count(*)", "click = 0")
    if others:
        raise DataError(
            f"--negatives requires a log of clicks only, but this log holds {others} non-clicks. "
            "Remove --negatives."
        )
    clicks, candidates = _number_clicks(impressions, items)
    impressions.drop()
    (width,) = candidates.one_row("count(*)")
    query = f"SELECT user_number * {width} + item_number AS key FROM {clicks} ORDER BY click_row"
    key = np.asarray(connection.execute(query).fetchnumpy()["key"])
    clicked = np.unique(key)
    weights = np.ones(width, np.int64)
    if by is Popularity.popularity:
        weights = np.bincount(key % width, minlength=width)
    chance = stream(seed, "negatives")
    block = min(BLOCK, rows_within(min(number, width), DRAWN_AT_ONCE))

    def parts() -> Iterator[tuple[np.ndarray, np.ndarray]]:
        for part in blocks(len(key), block):
            found = draw(key[part] // width, number, clicked, weights, chance)
            rows, columns = np.nonzero(found >= 0)
            yield part.start + rows, found[rows, columns]

    drawn = fill_table(connection, "drawn", DRAWN, parts())
    labels = ["click", *(name for name in impressions.columns if name.startswith(LABEL))]
    none = ", ".join(f"0::TINYINT AS {quoted(name)}" for name in labels)
    both = make_table(
        connection,
        "impressions",
        f"""SELECT * EXCLUDE (click_row, user_number, item_number) FROM (
            FROM {clicks} UNION ALL
            SELECT clicks.* REPLACE (candidates.item_id AS item_id, {none})
            FROM {drawn} AS drawn JOIN {clicks} AS clicks USING (click_row)
            JOIN {candidates} AS candidates ON candidates.number = drawn.item_number)
        ORDER BY click_row, click DESC, item_id""",
    )
    return both, drawn.one_row("count(*)")[0]


def draw(
    users: np.ndarray,
    number: int,
    clicked: np.ndarray,
    weights: np.ndarray,
    chance: np.random.Generator,
) -> np.ndarray:
    """Sample distinct items, by weight, that the user of each row has not clicked.

    A user with at most `number` unclicked items gets all of them, without sampling.

    Args:
        users: (n,) int64, the user of each row.
        number: Items per row.
        clicked: (clicks,) int64, sorted `user * len(weights) + item` of all clicks.
        weights: (V,) int64, sampling weights.
        chance: The random stream.

    Returns:
        (n, min(number, items with a weight)) int64; -1 where no unclicked item remains.
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
    """Fill the rows of users with at most one row of unclicked items; return them as (n,) bool."""
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
    """Return the (V,) float64 weights, 0 for items that the user has clicked."""
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
    """Sample one unclicked item that is not in the row yet, without rejection."""
    left = _left(user, clicked, weights)
    left[taken[taken >= 0]] = 0
    return int(chance.choice(len(left), p=left / left.sum()))


def _number_clicks(impressions: Relation, items: Relation | None) -> tuple[Relation, Relation]:
    """Return the clicks, numbered by row, user and item, and the numbered candidates."""
    sources = [f"SELECT item_id FROM {impressions}"]
    if items is not None:
        sources.append(f"SELECT item_id FROM {items}")
    candidates = make_table(
        impressions.connection,
        "candidates",
        f"""SELECT item_id, row_number() OVER (ORDER BY item_id) - 1 AS number
        FROM (SELECT DISTINCT item_id FROM ({" UNION ALL ".join(sources)}))""",
    )
    columns = impressions.columns
    order = f"ORDER BY {', '.join(map(quoted, columns))}" if "timestamp" in columns else ""
    clicks = make_table(
        impressions.connection,
        "clicks",
        f"""SELECT numbered.*, dense_rank() OVER (ORDER BY user_id) - 1 AS user_number,
            number AS item_number
        FROM (SELECT *, row_number() OVER ({order}) - 1 AS click_row FROM {impressions})
            AS numbered
        JOIN {candidates} USING (item_id)""",
    )
    return clicks, candidates
