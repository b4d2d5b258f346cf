"""A data set in numbers: periods, click rates, history lengths, filled fields."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ctrbench.display import Displayed
from ctrbench.impressions.periods import chunks, count_targets, count_users, evaluable_groups
from ctrbench.impressions.unseen import unseen_values
from ctrbench.schema import PERIODS, ColumnValues, DatasetManifest, Impressions, Ragged

QUANTILES = (0.1, 0.5, 0.9, 1.0)


@dataclass(frozen=True)
class PeriodSummary:
    """One period in numbers."""

    name: str
    impressions: int
    clicks: int
    users: int
    evaluable_users: int  # with a click and a non-click in one evaluation group
    items: int  # distinct targets
    ctr: float  # clicks over impressions, each counted by its sample weight
    first: int | None  # timestamp
    last: int | None


@dataclass(frozen=True)
class Summary:
    """A data set in numbers."""

    periods: tuple[PeriodSummary, ...]
    ctr: float  # over all periods
    history_quantiles: dict[float, int]  # of the history lengths over all impressions
    empty_history_share: float  # of all impressions
    filled: dict[str, float]  # share of rows with a value, by field; text fields are left out
    unseen: dict[str, int]  # values that occur only in valid and test, by categorical or list field


@dataclass(frozen=True)
class Described(Displayed, view="datasets.show"):
    """A data set and its numbers."""

    manifest: DatasetManifest
    summary: Summary


def describe(impressions: Impressions) -> Described:
    """Return a data set's manifest with its numbers."""
    return Described(impressions.manifest, summarise(impressions))


def summarise(impressions: Impressions) -> Summary:
    """Return the sizes of periods, history lengths and filled fields."""
    lengths = _length_counts(impressions)
    reached = np.cumsum(lengths) / lengths.sum()
    quantiles = {q: int(np.searchsorted(reached, q - 1e-12)) for q in QUANTILES}
    columns = {
        **{name: (column, 1) for name, column in impressions.user_fields.items()},
        **{name: (column, 1) for name, column in impressions.item_fields.items()},
        **{name: (column, 0) for name, column in impressions.context_fields.items()},
    }
    return Summary(
        periods=tuple(
            _period(impressions, p) for p in PERIODS if p in impressions.manifest.periods
        ),
        ctr=_ctr(impressions, slice(0, len(impressions.click))),
        history_quantiles=quantiles,
        empty_history_share=float(lengths[0] / lengths.sum()),
        filled={name: _filled(column, first) for name, (column, first) in columns.items()},
        unseen={name: found.values for name, found in unseen_values(impressions).items()},
    )


def _period(impressions: Impressions, period: str) -> PeriodSummary:
    rows = impressions.rows(period)
    shown, clicked = count_users(impressions, rows)
    users, carries = evaluable_groups(impressions, rows)
    first, last = _moments(impressions, rows)
    return PeriodSummary(
        name=period,
        impressions=int(shown.sum()),
        clicks=int(clicked.sum()),
        users=int(np.count_nonzero(shown)),
        evaluable_users=len(np.unique(users[carries])),
        items=int(np.count_nonzero(count_targets(impressions, rows))),
        ctr=_ctr(impressions, rows),
        first=first,
        last=last,
    )


def _moments(impressions: Impressions, rows: slice) -> tuple[int, int] | tuple[None, None]:
    """Return the first and the last timestamp of some rows; None without timestamps."""
    times = impressions.timestamp
    if times is None:
        return None, None
    ends = [(int(times[part].min()), int(times[part].max())) for part in chunks(rows, impressions)]
    return min(first for first, _ in ends), max(last for _, last in ends)


def _ctr(impressions: Impressions, rows: slice) -> float:
    """Return clicks over impressions, each counted by its sample weight."""
    clicked = total = 0.0
    for part in chunks(rows, impressions):
        click, weight = impressions.click[part] == 1, impressions.weight
        own = np.ones(len(click)) if weight is None else weight[part].astype(np.float64)
        clicked += float(own[click].sum())
        total += float(own.sum())
    return clicked / total


def _length_counts(impressions: Impressions) -> np.ndarray:
    """Return (longest + 1,) int64, the number of impressions with a history of each length."""
    counts = np.zeros(1, np.int64)
    for part in chunks(slice(0, len(impressions.history_length)), impressions):
        more = np.bincount(impressions.history_length[part], minlength=len(counts))
        more[: len(counts)] += counts
        counts = more
    return counts


def _filled(column: ColumnValues, first: int) -> float:
    """Return the share of the rows from `first` on that have a value."""
    if isinstance(column, Ragged):
        present = np.count_nonzero(np.diff(column.offsets)[first:])
        return present / max(len(column) - first, 1)
    present = 0
    for part in chunks(slice(first, len(column))):
        block = column[part]
        missing = np.isnan(block) if block.dtype.kind == "f" else block == 0
        present += len(block) - int(np.count_nonzero(missing))
    return present / max(len(column) - first, 1)
