"""The contract of a metric, and the registry of all of them."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from functools import lru_cache
from typing import ClassVar

from ctrbench import plugins
from ctrbench.errors import UnknownNameError
from ctrbench.metrics._influence import Influence
from ctrbench.metrics._scored import Scored

PACKAGE = "ctrbench.metrics"


class Metric(ABC):
    """A measure of the quality of predictions. The name of its file is its name.

    Subclasses set the class attributes and define `value`. A metric whose differences have
    intervals also defines `influence`.
    """

    title: str  # display name
    less_is_better: ClassVar[bool] = False
    judged: ClassVar[bool] = False  # tables show its deltas in pp, with intervals and verdicts
    on_request: ClassVar[bool] = False  # only computed and shown where a user names it
    has_cutoff: ClassVar[bool] = False  # the name may end in @k: `ndcg@5`
    described: ClassVar[bool] = False  # captions state the baseline's value
    within_groups: ClassVar[bool] = False  # only compares impressions of one evaluation group
    needs_probabilities: ClassVar[bool] = False  # depends on more than the order of predictions
    chance: ClassVar[float | None] = None  # value of uninformative predictions, if known
    acceptable: ClassVar[tuple[float, float] | None] = None  # tables warn outside this range
    items_each: ClassVar[int] = 2  # items per unit: 2 for pairs of impressions, 1 for a mean
    requires: ClassVar[str] = "no impression is there"  # reason in messages if it is undefined
    requires_for_interval: ClassVar[str] = "no impression is there"  # the same for `influence`

    def __init__(self, name: str) -> None:
        self.name = name

    @abstractmethod
    def value(self, scored: Scored) -> float | None:
        """Return the metric of predictions in [0, 1]; None if it is not defined."""

    def influence(self, scored: Scored) -> Influence | None:
        """Return the influence value of each user and item; None if there is no interval.

        Predictions may be any finite numbers unless `needs_probabilities` is set.
        """
        return None

    @property
    def has_influence(self) -> bool:
        """Whether differences of the metric have intervals."""
        return type(self).influence is not Metric.influence


def names() -> list[str]:
    """Return the names of all metrics, including those of installed packages."""
    return plugins.names(PACKAGE)


def find(name: str) -> Metric:
    """Return the metric with a name, which may set a cut-off: `ndcg@5`.

    Raises:
        UnknownNameError: No metric has this name, or it has no such cut-off.
    """
    known = {metric.name: metric for metric in _all()}
    if name in known:
        return known[name]
    plain, _, cutoff = name.partition("@")
    if plain not in known or not known[plain].has_cutoff:
        raise UnknownNameError("metric", name, known)
    if not re.fullmatch("[1-9][0-9]{0,3}", cutoff):
        hint = f"A cut-off is a number from 1 to 9999: {plain}@5."
        raise UnknownNameError("metric", name, known, hint)
    return type(known[plain])(name)


def every() -> tuple[Metric, ...]:
    """Return the metrics that are stored for every cell, ordered by name."""
    return tuple(metric for metric in _all() if not metric.on_request)


def on_request() -> tuple[Metric, ...]:
    """Return the metrics that are only computed where a user names them, ordered by name."""
    return tuple(metric for metric in _all() if metric.on_request)


def comparable(name: str) -> Metric:
    """Return the metric with a name if its differences have intervals.

    Raises:
        UnknownNameError: No metric with intervals has this name.
    """
    known = [one.name for one in _all() if one.has_influence]
    if name.partition("@")[0] not in known:
        raise UnknownNameError("metric", name, known)
    return find(name)


def _all() -> tuple[Metric, ...]:
    return _loaded(tuple(names()), tuple(plugins.session(PACKAGE).values()))


@lru_cache(maxsize=4)
def _loaded(known: tuple[str, ...], here: tuple[type, ...]) -> tuple[Metric, ...]:
    del here  # part of the key: a notebook may define a metric again
    classes: list[type[Metric]] = [plugins.load(PACKAGE, name, Metric, "metric") for name in known]
    return tuple(found(name) for found, name in zip(classes, known, strict=True))


def judged() -> tuple[Metric, ...]:
    """Return the metrics whose deltas tables show."""
    return tuple(metric for metric in every() if metric.judged)


def with_influence() -> tuple[Metric, ...]:
    """Return the metrics of every cell whose differences have intervals."""
    return tuple(metric for metric in every() if metric.has_influence)
