"""The contract of a derivation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from ctrbench import plugins
from ctrbench.embeddings._rows import Rows
from ctrbench.errors import ConfigError, refusal
from ctrbench.schema import Frozen

PACKAGE = "ctrbench.embeddings.derivations"


@dataclass(frozen=True)
class Fitted:
    """A derivation that has seen its fitting items."""

    width: int  # of its output
    apply: Callable[[np.ndarray], np.ndarray]  # (n, D) float64 -> (n, width), row by row
    facts: dict[str, float]  # worth knowing; stored with the version


class Derivation(Frozen, ABC):
    """A way to make one embedding version out of another; its fields are its settings."""

    @abstractmethod
    def fit(self, rows: Rows) -> Fitted:
        """Learn from the fitting items' vectors, at least one.

        Raises:
            ConfigError: the settings do not suit these vectors.
            DataError: nothing can be learned from them.
        """


def configured(method: str, settings: dict[str, Any]) -> Derivation:
    """The derivation of that name with these settings.

    Raises:
        UnknownNameError: no derivation has this name.
        ConfigError: a setting is unknown or out of range.
    """
    kind = plugins.load(PACKAGE, method, Derivation, "derivation")
    known = ", ".join(kind.model_fields) or "none"
    unknown = ", ".join(settings.keys() - kind.model_fields.keys())
    if unknown:
        raise ConfigError(f"{method} has no setting {unknown}; its settings: {known}.")
    try:
        return kind.model_validate(settings)
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, e['loc']))}: {refusal(dict(e))}" for e in error.errors()]
        raise ConfigError(f"settings of {method}: {'; '.join(problems)}.") from error
