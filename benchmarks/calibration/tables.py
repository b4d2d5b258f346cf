"""The one table of both scripts: results/tables/calibration.md and .json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "results" / "tables"
ALARMS, COVERAGE = (4.0, 6.0), (94.0, 96.0)  # %, between which a method counts as calibrated
TITLES = {"simulated": "Simulated logs and models", "trained": "Seeds that were truly trained"}


@dataclass(frozen=True)
class Share:
    """How often something happened."""

    percent: float
    error: float  # its standard error
    count: int  # of comparisons or families


@dataclass(frozen=True)
class Row:
    """What came out for one design and metric."""

    design: str
    metric: str
    false_alarms: Share  # nominal 5 %; of one comparison
    family: Share | None  # nominal 5 %; of any of six that share a baseline
    coverage: Share | None  # nominal 95 %; of one comparison with a known effect


def share(happened: Sequence[Any] | np.ndarray) -> Share:
    """Of booleans.

    >>> share([True, False, False, False])
    Share(percent=25.0, error=21.65, count=4)
    """
    mean = float(np.mean(happened))
    error = 100 * (mean * (1 - mean) / len(happened)) ** 0.5
    return Share(round(100 * mean, 2), round(error, 2), len(happened))


def write(part: str, rows: list[Row], folder: Path = FOLDER) -> None:
    """Replace one part of the table, `simulated` or `trained`, and keep the other."""
    path = folder / "calibration.json"
    parts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    parts[part] = [asdict(row) for row in rows]
    path.write_text(json.dumps(parts, indent=1) + "\n", encoding="utf-8")
    told = [
        "Percent ± standard error; nominal: 5 % false alarms, 95 % coverage. **Bold**: not between "
        f"{ALARMS[0]:g} and {ALARMS[1]:g} %, or {COVERAGE[0]:g} and {COVERAGE[1]:g} %. Made by the "
        "scripts in `benchmarks/calibration/`; do not edit."
    ]
    for name in TITLES:
        if name in parts:
            told += ["", f"**{TITLES[name]}**", "", *_table(parts[name])]
    path.with_suffix(".md").write_text("\n".join(told) + "\n", encoding="utf-8")
    print(f"wrote {path} and {path.with_suffix('.md').name}")


def stored(part: str, folder: Path = FOLDER) -> dict[str, list[Row]]:
    """The rows of one part as they were written, by design."""
    path, found = folder / "calibration.json", dict[str, list[Row]]()
    parts = json.loads(path.read_text("utf-8")) if path.exists() else {}
    for row in parts.get(part, []):
        shares = {
            name: row[name] and Share(**row[name])
            for name in ("false_alarms", "family", "coverage")
        }
        found.setdefault(row["design"], []).append(Row(row["design"], row["metric"], **shares))
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
        lines.append(f"| {row['design']} | {row['metric']} | {' | '.join(places)} | {count} |")
    return lines


def _place(found: dict | None, allowed: tuple[float, float]) -> str:
    if found is None:
        return "–"
    told = f"{found['percent']:.1f} ± {found['error']:.1f}"
    inside = allowed[0] <= found["percent"] <= allowed[1]
    return told if inside else f"**{told}**"
