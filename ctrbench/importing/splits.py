"""Divide impressions into periods: by time, in each user's own order, or as given."""

from __future__ import annotations

from itertools import accumulate

import numpy as np

from ctrbench.errors import ConfigError, DataError
from ctrbench.importing.relations import Relation, one_row
from ctrbench.schema import PERIODS, Split

PARTS = 1_000_000  # shares are compared as whole millionths, because rounding could move a row
FORMS = "time:20/50/10/20, per_user:20/50/10/20 or given (three shares: no pretrain period)"
LEAK = (
    "Split per user: each user's own order, so that train holds impressions that are later than "
    "other users' test; it leaks future popularity."
)


def parse_split(text: str) -> Split:
    """Return the split that a text describes; three shares mean no pretrain period.

    Raises:
        ConfigError: The kind is unknown, or the shares are not 3 or 4 positive percentages that
            sum to 100.

    >>> str(parse_split("per_user:20/50/10/20"))
    'per_user 20/50/10/20 %'
    """
    kind, _, listed = text.partition(":")
    try:
        shares = tuple(float(share) / 100 for share in listed.split("/")) if listed else ()
    except ValueError:
        shares = (-1.0,)
    if kind == "given" and not listed:
        return Split(kind="given")
    sound = len(shares) in (3, 4) and min(shares) > 0 and abs(sum(shares) - 1) < 1e-9
    if not sound or kind not in ("time", "per_user"):
        raise ConfigError(
            f"split {text!r} is not valid: use {FORMS}; the shares are per cent and sum to 100."
        )
    return Split(kind="time" if kind == "time" else "per_user", shares=shares)


def period_expression(encoded: Relation, split: Split, valid_share: float | None) -> str:
    """Return SQL for the index of a row's period in PERIODS, over counted rows.

    A row belongs to the first period whose share is not used up by the strictly earlier rows, so
    that equal timestamps, such as whole days, are never divided. If that leaves a period empty,
    each border is the timestamp nearest to its share that leaves no period empty.

    Args:
        encoded: Impressions as numbers, in order of time.
        split: How impressions are divided into periods.
        valid_share: The share of a given train period that becomes valid.

    Raises:
        ConfigError: `valid_share` is given with another split, or with a valid period.
        DataError: A given period is missing, or has an unknown name.
    """
    if split.kind == "given":
        _check_given(encoded, valid_share)
        given = f"list_position({list(PERIODS)}, _period) - 1"
        return _late_train(encoded, given, valid_share) if valid_share else given
    if valid_share:
        raise ConfigError(f"--valid-share belongs to a given split, not to {split}.")
    first = len(PERIODS) - len(split.shares)
    cuts = [round(PARTS * share) for share in accumulate(split.shares[:-1])]
    if split.kind == "time":
        moments = _moments(encoded, cuts)
        if None in moments or len(set(moments)) < len(moments):
            moments = _nearest(encoded, cuts)
        return f"{first} + {_sum([f'timestamp >= {moment}' for moment in moments])}"
    return f"{first} + {_reached(encoded, split, cuts)}"


def block_expression(encoded: Relation, split: Split, blocks: int) -> str:
    """Return SQL for the block of `train` that a row lies in, over counted rows.

    Blocks hold about equally many impressions and are cut as periods are: by time, or in each
    user's own order. A given `train` period is cut by time.

    Args:
        encoded: Impressions as numbers, in order of time.
        split: How impressions were divided into periods.
        blocks: 1 or more; a row before or after `train` gets the number of its nearest block.
    """
    if split.kind == "given":
        cuts = [round(PARTS * block / blocks) for block in range(1, blocks)]
        moments = _moments(encoded, cuts, "_period = 'train'")
        return _sum([f"timestamp >= {moment}" for moment in moments if moment is not None])
    place = len(split.shares) - len(PERIODS) + PERIODS.index("train")
    start, share = sum(split.shares[:place]), split.shares[place]
    cuts = [round(PARTS * (start + share * block / blocks)) for block in range(1, blocks)]
    return _reached(encoded, split, cuts)


def _reached(encoded: Relation, split: Split, cuts: list[int]) -> str:
    """Return SQL for the number of cuts, in millionths of all impressions, at or before a row."""
    if split.kind == "per_user":
        return _sum(
            [f"prior_impressions::BIGINT * {PARTS} >= {cut} * _user_impressions" for cut in cuts]
        )
    moments = _moments(encoded, cuts)
    return _sum([f"timestamp >= {moment}" for moment in moments if moment is not None])


def _sum(conditions: list[str]) -> str:
    """Return SQL for the number of conditions that hold."""
    return " + ".join(["0", *(f"({condition})::INTEGER" for condition in conditions)])


def _moments(encoded: Relation, cuts: list[int], where: str = "true") -> tuple[int | None, ...]:
    """Return, per share in millionths, the first timestamp with that share strictly earlier."""
    (total,) = encoded.one_row("count(*)", where)
    return tuple(_moment(encoded, -(-cut * total // PARTS), where) for cut in cuts)


def _nearest(encoded: Relation, cuts: list[int]) -> list[int]:
    """Return the border of each share in millionths, such that every period has a timestamp.

    Raises:
        DataError: There are fewer timestamps than periods.
    """
    grouped = f"SELECT timestamp, count(*) AS rows FROM {encoded} GROUP BY timestamp"
    found = encoded.connection.execute(f"{grouped} ORDER BY timestamp").fetchnumpy()
    times, rows = np.asarray(found["timestamp"]), np.asarray(found["rows"])
    if len(times) <= len(cuts):
        raise DataError(
            f"the log has only {len(times)} different timestamps, too few for {len(cuts) + 1} "
            "periods, because equal ones are never divided. Import more days, or times of day; "
            "three shares, as in time:60/20/20, omit the pretrain period."
        )
    earlier = (rows.cumsum() - rows) * PARTS / rows.sum()
    places, low = [], 1
    for place, cut in enumerate(cuts):
        high = len(times) - (len(cuts) - place) + 1
        places.append(low + int(abs(earlier[low:high] - cut).argmin()))
        low = places[-1] + 1
    return [int(times[place]) for place in places]


def _moment(encoded: Relation, needed: int, where: str) -> int | None:
    """Return the first timestamp with `needed` strictly earlier rows; None if there is none.

    Rows are in order of time, so this is the timestamp of the row at place `needed`, or the next
    timestamp if earlier rows have the same one.
    """
    (moment,) = one_row(
        encoded.connection,
        f"""WITH rows AS (SELECT timestamp FROM {encoded} WHERE {where}),
        there AS (SELECT timestamp AS moment FROM rows LIMIT 1 OFFSET {needed})
        SELECT min(timestamp) FROM rows, there
        WHERE timestamp > moment OR timestamp = moment
            AND (SELECT count(*) FROM rows, there WHERE timestamp < moment) = {needed}""",
    )
    return moment


def _check_given(encoded: Relation, valid_share: float | None) -> None:
    query = f"SELECT DISTINCT _period FROM {encoded}"
    rows = encoded.connection.execute(query).fetchall()
    found = {period for (period,) in rows}
    unknown = sorted(map(str, found - set(PERIODS)))
    if unknown:
        raise DataError(
            f"unknown period(s) {', '.join(unknown[:5])}; allowed: {', '.join(PERIODS)}."
        )
    if valid_share and "valid" in found:
        raise ConfigError("--valid-share creates a valid period, but the files already give one.")
    if valid_share and not 0 < valid_share < 1:
        raise ConfigError(f"--valid-share {valid_share:g} must be above 0 and below 1.")
    if not valid_share and found >= {"train", "test"} and "valid" not in found:
        raise DataError(
            "the files give train and test but no valid period: add --valid-share 0.1 to take the "
            "last tenth of train (without timestamps: a random tenth)."
        )


def _late_train(encoded: Relation, given: str, share: float) -> str:
    """Return SQL that moves the end of train, or without timestamps a random share, to valid."""
    cut = round(PARTS * share)
    if "timestamp" in encoded.columns:
        (moment,) = _moments(encoded, [PARTS - cut], "_period = 'train'")
        late = "false" if moment is None else f"timestamp >= {moment}"
    else:
        late = f"_draw % {PARTS} < {cut}"
    valid = PERIODS.index("valid")
    return f"CASE WHEN _period = 'train' AND {late} THEN {valid} ELSE {given} END"
