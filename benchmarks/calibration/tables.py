"""The table of `simulate` and `trained`: results/tables/calibration.md and .json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.shared import TABLES, markdown_row

ALARMS, COVERAGE = (4.0, 6.0), (94.0, 96.0)  # %, the range of a calibrated method
TITLES = {"simulated": "Simulated logs and models", "trained": "Seeds that were truly trained"}


@dataclass(frozen=True)
class Rate:
    """The frequency of an event."""

    percent: float
    error: float  # standard error of the percentage
    count: int  # comparisons or families


@dataclass(frozen=True)
class DesignResult:
    """The result for one design and metric."""

    design: str
    metric: str
    false_alarms: Rate  # nominal 5 %; one comparison
    family: Rate | None  # nominal 5 %; any of six comparisons that share a baseline
    coverage: Rate | None  # nominal 95 %; one comparison with a known effect


def share(happened: Sequence[Any] | np.ndarray) -> Rate:
    """Return the frequency of True.

    >>> share([True, False, False, False])
    Rate(percent=25.0, error=21.65, count=4)
    """
    mean = float(np.mean(happened))
    error = 100 * (mean * (1 - mean) / len(happened)) ** 0.5
    return Rate(round(100 * mean, 2), round(error, 2), len(happened))


def write(part: str, rows: list[DesignResult], folder: Path = TABLES) -> None:
    """Replace one part of the table and keep the other.

    Args:
        part: `simulated` or `trained`.
        rows: The rows of the part.
        folder: The folder of both files.
    """
    path = folder / "calibration.json"
    parts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    parts[part] = [asdict(row) for row in rows]
    path.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
    lines = [
        "Percent ± standard error; nominal: 5 % false alarms, 95 % coverage. **Bold**: not between "
        f"{ALARMS[0]:g} and {ALARMS[1]:g} %, or {COVERAGE[0]:g} and {COVERAGE[1]:g} %. Made by the "
        "scripts in `benchmarks/calibration/`; do not edit."
    ]
    for name in TITLES:
        if name in parts:
            lines += ["", f"**{TITLES[name]}**", "", *_table(parts[name])]
    path.with_suffix(".md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(f"wrote {path} and {path.with_suffix('.md').name}")


def stored(part: str, folder: Path = TABLES) -> dict[str, list[DesignResult]]:
    """Return the stored rows of one part, by design.

    Args:
        part: `simulated` or `trained`.
        folder: The folder of the files.
    """
    path, found = folder / "calibration.json", dict[str, list[DesignResult]]()
    parts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for row in parts.get(part, []):
        shares = {
            name: row[name] and Rate(**row[name]) for name in ("false_alarms", "family", "coverage")
        }
        found.setdefault(row["design"], []).append(
            DesignResult(row["design"], row["metric"], **shares)
        )
    return found


def _table(rows: list[dict]) -> list[str]:
    head = ("false alarms", "any false alarm of six", "coverage")
    lines = [
        f"| design | metric | {' | '.join(head)} | comparisons |",
        "|---|---|---:|---:|---:|---:|",
    ]
    for row in rows:
        places = (
            _place(row["false_alarms"], ALARMS),
            _place(row["family"], ALARMS),
            _place(row["coverage"], COVERAGE),
        )
        count = f"{row['false_alarms']['count']:,}"
        lines.append(markdown_row([row["design"], row["metric"], *places, count]))
    return lines


def _place(found: dict | None, allowed: tuple[float, float]) -> str:
    if found is None:
        return "–"
    text = f"{found['percent']:.1f} ± {found['error']:.1f}"
    inside = allowed[0] <= found["percent"] <= allowed[1]
    return text if inside else f"**{text}**"
