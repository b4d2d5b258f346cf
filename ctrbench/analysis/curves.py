"""The headline delta as a function of a setting, such as the number of codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctrbench.analysis.comparison import Comparison
from ctrbench.display import Displayed
from ctrbench.errors import ConfigError
from ctrbench.metrics import find
from ctrbench.plan import Column, Matrix, Row
from ctrbench.stats import Inference


@dataclass(frozen=True)
class SettingPoint:
    """The delta at one value of the setting."""

    value: float
    gain: Inference


@dataclass(frozen=True)
class SettingCurve:
    """Columns of one version that differ only in the setting, in the order of its values."""

    row: Row
    columns: tuple[Column, ...]
    setting: str
    points: tuple[SettingPoint, ...]

    @property
    def label(self) -> str:
        """Return the display name: version, mode, and the other varied settings."""
        return f"{self.row.label} / {self.columns[0].label_without(self.setting)}"

    def plain(self) -> dict[str, Any]:
        """Return the name of the curve with its points."""
        return {"curve": self.label, "row": self.row.label, "points": self.points}


@dataclass(frozen=True)
class Curves(Displayed, view="curves.show"):
    """All curves of a matrix."""

    headline: str  # name of the metric
    setting: str
    curves: tuple[SettingCurve, ...]

    @property
    def metric(self) -> str:
        """Return the display name of the headline metric."""
        return find(self.headline).title


def curves(matrix: Matrix, setting: str, gains: Mapping[Comparison, Inference]) -> Curves:
    """Return the curves of every version and mode.

    Args:
        matrix: The checked matrix.
        setting: Name of a setting of modes or of training.
        gains: Stored comparisons with the baseline.

    Raises:
        ConfigError: The setting does not vary in this matrix, or no comparison is stored.
    """
    if not any(len(columns) > 1 for columns in _varied(matrix.columns, setting)):
        raise ConfigError(
            f"no mode of this file has several numeric values of {setting}; write a list, such as "
            "cluster_id: {codebook_size: [50, 200, 1000]}."
        )
    found = curves_along(setting, matrix.rows, matrix.columns, gains)
    if not found:
        raise ConfigError("no point of these curves is stored yet; run `ctrbench run FILE` first.")
    return Curves(matrix.file.headline, setting, found)


def curves_along(
    setting: str,
    rows: Iterable[Row],
    columns: Sequence[Column],
    gains: Mapping[Comparison, Inference],
) -> tuple[SettingCurve, ...]:
    """Return the curves along a setting; empty if it does not vary or no comparison is stored.

    Args:
        setting: Name of a setting of modes or of training.
        rows: The rows of a table.
        columns: The columns of the same table.
        gains: Stored comparisons with the baseline.
    """
    groups = [own for own in _varied(columns, setting) if len(own) > 1]
    found: list[SettingCurve] = []
    for row in rows:
        for own in groups:
            points = {
                column: SettingPoint(value, gains[place])
                for value, column in sorted(own.items(), key=lambda item: item[0])
                if (place := Comparison(row, column)) in gains
            }
            if points:
                found.append(SettingCurve(row, tuple(points), setting, tuple(points.values())))
    return tuple(found)


def _varied(every: Sequence[Column], setting: str) -> list[dict[float, Column]]:
    """Return groups of columns that differ only in the setting, by its value."""
    groups: list[tuple[tuple[str, Any], dict[float, Column]]] = []
    for column in every:
        value = _value(column, setting)
        if value is None:
            continue
        rest = column.mode, column.varied_without(setting)
        same = [columns for other, columns in groups if other == rest]
        if same:
            same[0][value] = column
        else:
            groups.append((rest, {value: column}))
    return [columns for _, columns in groups]


def _value(column: Column, setting: str) -> float | None:
    """Return the numeric value of a setting in a column; None if it has none."""
    settings = (column.settings, column.training)
    value = next((getattr(one, setting) for one in settings if hasattr(one, setting)), None)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else None
