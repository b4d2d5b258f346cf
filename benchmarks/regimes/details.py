"""Trains what the rows of the map do not show: new items, traces, a projection head.

`python -m benchmarks.regimes.details --root DIR` adds one row per cell to
results/tables/regimes_details.csv. Finished replicates are skipped, as in `study.py`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.regimes.outside import OtherWorld
from benchmarks.regimes.study import SIZES, add_missing, arguments
from benchmarks.shared import TABLES, FinishedCells, ctrbench, late_over_early
from ctrbench.analysis.traces import IDS, IMAGE, half_way
from ctrbench.matrix import read_matrix
from ctrbench.runner import run_matrix
from ctrbench.schema import CellRecord, Trace
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from data_synth.writing import write_world

DETAILS = TABLES / "regimes_details.csv"
PLAIN = "noisy_0.5"  # the vectors under the layers that `courier` trains
HEADS = {"courier": "false", "courier-projection": "true"}  # version -> method.projection
FILE = """\
dataset: KIND
versions: [VERSIONS]
modes:
  vector: {}
  sim_score: {}
  cluster_id: {codebook_size: CODES}
seeds: [SEED]
controls: []
repeat_baseline: false
slices: [{unseen_items: true}]
training: {batch_size: 512, learning_rate: 4e-3}
"""


@dataclass(frozen=True)
class Detail(OtherWorld):
    """A world whose cells are trained with traces and measured on items without impressions."""

    kind: str = "complement"
    strength: float = 1.0
    roles: int | None = 2

    def files(self, replicate: int) -> Iterator[str]:
        """Yield the benchmark file."""
        text = FILE
        for name, value in {
            "KIND": self.kind,
            "VERSIONS": ", ".join(self.versions),
            "CODES": str(self.codes),
            "SEED": str(replicate),
        }.items():
            text = text.replace(name, value)
        yield text


def worlds() -> list[Detail]:
    """Return the worlds: those of the map at alignment 1, which equals `taste`, and 0; `cold`."""
    impressions, replicates = SIZES["300k"]
    trained = ("oracle", PLAIN, *HEADS)
    return [
        Detail("details-1", impressions, replicates, 1.0, versions=trained),
        Detail("details-0", impressions, replicates, 0.0, versions=trained),
        Detail("details-cold", impressions, replicates, 1.0, kind="cold"),
    ]


def main() -> None:
    """Train the worlds that are not stored yet."""
    pairs = ((world, replicate) for replicate in range(SIZES["300k"][1]) for world in worlds())
    add_missing(pairs, detailed_rows, DETAILS, arguments(__doc__).parse_args())


def detailed_rows(world: Detail, replicate: int, home: Path, jobs: int) -> list[dict[str, object]]:
    """Make a world, train its cells with traces, and return a row for each.

    Args:
        world: The world.
        replicate: The number of the replicate, also the seed of world and model.
        home: A folder for the world, which is removed.
        jobs: The number of cells to train at once.
    """
    write_world(world.config(replicate), home, workers=jobs)
    for version in set(world.versions) & set(HEADS):
        words = ("--dataset", world.kind, "--version", version, "--from-version", PLAIN)
        settings = (
            *("training.epochs=1", "training.learning_rate=1e-3"),
            *(f"training.seed={replicate}", f"method.projection={HEADS[version]}"),
        )
        chosen = [word for setting in settings for word in ("--set", setting)]
        command = ctrbench(home, "pretrain", "courier", *words, "--allow-collapsed", *chosen)
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    (text,) = world.files(replicate)
    (file := home / "details.yaml").write_text(text, encoding="utf-8")
    workspace = Workspace(home)
    observer, store = FinishedCells(), Store(workspace)
    records = run_matrix(workspace, read_matrix(file, workspace), jobs, True, observer, True)
    found = [row_of(record, store.read_trace(record.cell)) for record in records.values()]
    shutil.rmtree(home)
    return [{"point": world.name, "replicate": replicate} | row for row in found]


def row_of(record: CellRecord, trace: Trace | None) -> dict[str, object]:
    """Return the values of a row, without point and replicate.

    Args:
        record: The record of the cell.
        trace: Its trace.
    """
    assert trace is not None, record.reason
    test, new, half = record.metrics["test"], record.slices["unseen_items"], half_way(trace)
    values: dict[str, float | None] = {
        "gauc": test.value("gauc"),
        "new_gauc": new.value("gauc"),
        "new_share": new.impressions / test.impressions,
        "image_gradient": late_over_early(trace, IMAGE),
        "ids_gradient": late_over_early(trace, IDS),
        "image_half": half.get(IMAGE),
        "ids_half": half.get(IDS),
        "image_loss": trace.permuted.get("image", {}).get("gauc"),
        "ids_loss": trace.permuted.get("item_id", {}).get("gauc"),
    }
    shown: dict[str, object] = {
        name: "" if value is None or value != value else f"{value:.6f}"
        for name, value in values.items()
    }
    return {"version": record.cell.version or "", "mode": record.cell.mode} | shown


if __name__ == "__main__":
    main()
