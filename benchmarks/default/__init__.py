"""The default run: a world in which vision matters, and one in which it does not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctrbench.analysis.table import ComparisonTable

# Chosen from results/tables/default_power.md, which `python -m benchmarks.default.pilot` makes.
STRENGTH = 1.0  # of style in the click's logit
IMPRESSIONS = 128_000  # half of them for training: 1,000 steps
USUAL_GAIN_PP = 0.5  # of GAUC; gains that image embeddings bring in production, docs/results.md
FILES = {kind: Path(__file__).parent / f"{kind}.yaml" for kind in ("taste", "null")}


def world(kind: str, seed: int) -> dict[str, object]:
    """Return the options of `python -m data_synth` for a default world.

    Args:
        kind: `taste` or `null`.
        seed: Of the world.
    """
    options: dict[str, object] = {"world": kind, "impressions": IMPRESSIONS, "seed": seed}
    return options | ({"strength": STRENGTH} if kind == "taste" else {})


def stored_table(home: Path, kind: str) -> ComparisonTable:
    """Return the comparison table of a finished default run.

    Args:
        home: The workspace of the run.
        kind: `taste` or `null`.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.matrix import read_matrix
    from ctrbench.runner import stored_records
    from ctrbench.workspace import Workspace

    workspace = Workspace(home)
    matrix = read_matrix(FILES[kind], workspace)
    return comparison_table(workspace, matrix, stored_records(workspace, matrix.cells()))


def better_modes(table: ComparisonTable, version: str) -> list[str]:
    """Return the modes in which a version is better by both deltas.

    Args:
        table: The comparison table.
        version: The name of the version.
    """
    found = table.answer.of("better")
    return [one.column.mode for one in found if one.row.version == version]
