"""The contract of a metric, and the registry of all of them."""

from __future__ import annotations

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

    title: ClassVar[str]  # display name
    less_is_better: ClassVar[bool] = False
    judged: ClassVar[bool] = False  # tables show its deltas in pp, with intervals and verdicts
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
    """Return the metric with a name.

    Raises:
        UnknownNameError: No metric has this name.
    """
    found = {metric.name: metric for metric in every()}
    if name not in found:
        raise UnknownNameError("metric", name, list(found))
    return found[name]


def every() -> tuple[Metric, ...]:
    """Return all metrics, ordered by name."""
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
    """Return the metrics whose differences have intervals."""
    return tuple(metric for metric in every() if metric.has_influence)
