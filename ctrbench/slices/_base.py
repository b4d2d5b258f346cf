"""The contract of a rule that selects impressions."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ctrbench import plugins
from ctrbench.errors import ContractError
from ctrbench.schema import Impressions

PACKAGE = "ctrbench.slices"


class SliceRule(ABC):
    """A subset of impressions that a benchmark file names by `slices: [rule: NAME]`."""

    title: ClassVar[str]  # in tables

    @abstractmethod
    def mask(self, impressions: Impressions, rows: slice) -> np.ndarray:
        """Return which impressions are in the slice; must not depend on clicks.

        Args:
            impressions: The data set.
            rows: The rows of the n impressions of one period.

        Returns:
            (n,) bool.
        """


def rule_class(name: str) -> type[SliceRule]:
    """Return the class of a rule.

    Raises:
        UnknownNameError: No rule has this name.
    """
    return plugins.load(PACKAGE, name, SliceRule, "rule of slices")


def selected(name: str, impressions: Impressions, rows: slice) -> np.ndarray:
    """Return the impressions that a rule selects, checked.

    Args:
        name: The name of the rule.
        impressions: The data set.
        rows: The rows of one period.

    Raises:
        ContractError: The rule returns something else than (n,) bool.
    """
    found = rule_class(name)().mask(impressions, rows)
    count = rows.stop - rows.start
    if not isinstance(found, np.ndarray) or found.dtype != bool or found.shape != (count,):
        what = type(found).__name__
        if isinstance(found, np.ndarray):
            what = f"an array of {found.dtype}, {found.shape}"
        raise ContractError(
            f"slice rule {name}: mask must return an array of bool, ({count},), one per "
            f"impression; it returns {what}."
        )
    return found
