"""The headline's delta against a setting that varies, such as the number of codes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ctrbench.analysis.comparison import Comparison
from ctrbench.errors import ConfigError
from ctrbench.plan import Column, Matrix, Row
from ctrbench.stats import Inference


@dataclass(frozen=True)
class CurvePoint:
    """One value of the setting, and the delta there."""

    value: float
    gain: Inference


@dataclass(frozen=True)
class Curve:
    """The columns of a version that differ in the setting alone, in the order of its values."""

    row: Row
    columns: tuple[Column, ...]
    setting: str
    points: tuple[CurvePoint, ...]

    @property
    def label(self) -> str:
        """Return the curve's name for people: version, mode, and the other varied settings."""
        return f"{self.row.label} / {self.columns[0].label_without(self.setting)}"

    def plain(self) -> dict[str, Any]:
        """Return the name of the curve with its points."""
        return {"curve": self.label, "row": self.row.label, "points": self.points}


@dataclass(frozen=True)
class Curves:
    """Every curve of a matrix."""

    headline: str  # the metric
    setting: str
    curves: tuple[Curve, ...]


def curves(matrix: Matrix, setting: str, gains: Mapping[Comparison, Inference]) -> Curves:
    """Return the curves of every version and mode.

    Args:
        matrix: checked.
        setting: of modes or of training.
        gains: of comparisons with the baseline, as far as they are stored.

    Raises:
        ConfigError: the setting does not vary in this matrix, or nothing is stored.
    """
    if not any(len(columns) > 1 for columns in _varied(matrix.columns, setting)):
        raise ConfigError(
            f"nothing in this file takes several numbers for {setting}; write a list, such as "
            "cluster_id: {codebook_size: [50, 200, 1000]}."
        )
    found = curves_along(setting, matrix.rows, matrix.columns, gains)
    if not found:
        raise ConfigError("nothing of these curves is stored yet: `ctrbench run` the file first.")
    return Curves(matrix.file.headline, setting, found)


def curves_along(
    setting: str,
    rows: Iterable[Row],
    columns: Sequence[Column],
    gains: Mapping[Comparison, Inference],
) -> tuple[Curve, ...]:
    """Return the curves along a setting; none where it does not vary, or nothing is stored.

    Args:
        setting: of modes or of training.
        rows: of a table.
        columns: of the same table.
        gains: of comparisons with the baseline, as far as they are stored.
    """
    groups = [own for own in _varied(columns, setting) if len(own) > 1]
    found: list[Curve] = []
    for row in rows:
        for own in groups:
            points = {
                column: CurvePoint(value, gains[place])
                for value, column in sorted(own.items(), key=lambda item: item[0])
                if (place := Comparison(row, column)) in gains
            }
            if points:
                found.append(Curve(row, tuple(points), setting, tuple(points.values())))
    return tuple(found)


def _varied(every: Sequence[Column], setting: str) -> list[dict[float, Column]]:
    """The columns that differ in the setting alone, by its value."""
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
    """The number that a setting has in a column; None where it has none."""
    settings = (column.settings, column.training)
    value = next((getattr(one, setting) for one in settings if hasattr(one, setting)), None)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if number else None
