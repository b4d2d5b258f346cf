"""Trains arms over many seeds and store predictions of the last and of averaged weights."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ctrbench import impressions
from ctrbench.matrix import read_matrix
from ctrbench.schema import Cell
from ctrbench.workspace import Workspace

AVERAGED = (0.1, 0.25, 0.5)  # shares at the end of the epoch: 2, 5 and 10 snapshots
LAST = 0.0  # the last weights, not averaged


@dataclass(frozen=True)
class Trained:
    """Predictions of every seed of every arm for the test period."""

    click: np.ndarray  # (N,)
    user_id: np.ndarray  # (N,)
    group_id: np.ndarray  # (N,) evaluation groups of GAUC
    p_click: dict[str, dict[float, np.ndarray]]  # arm -> averaged share -> (S, N)


def train(workspace: Workspace, file: Path, version: str, seeds: int, jobs: int) -> Trained:
    """Train the baseline and each mode of the file on one version; stored predictions are reused.

    Args:
        workspace: The workspace of the data set.
        file: The benchmark file.
        version: The label of the version.
        seeds: The number of seeds.
        jobs: The number of cells to train at once.
    """
    matrix = read_matrix(file, workspace)
    row = next(row for row in matrix.rows if row.label == version)
    places = {"baseline": (None, None)} | {c.label: (row, c) for c in matrix.columns}
    folder = workspace.home / "noise"
    folder.mkdir(exist_ok=True)
    tasks = [
        (workspace.home, matrix.cell(*place, seed), folder)
        for seed in range(seeds)
        for place in places.values()
    ]
    with ProcessPoolExecutor(jobs) as pool:
        found = list(pool.map(_predictions, *zip(*tasks, strict=True)))
    log = impressions.open_impressions(workspace, matrix.dataset.name)
    test = log.rows("test")
    p_click = {
        arm: {
            share: np.stack([one[f"{share}"] for one in found[place :: len(places)]])
            for share in (LAST, *AVERAGED)
        }
        for place, arm in enumerate(places)
    }
    columns = (np.asarray(column[test]) for column in (log.click, log.user_id, log.group_id))
    return Trained(*columns, p_click)


def _predictions(home: Path, cell: Cell, folder: Path) -> dict[str, np.ndarray]:
    """Return predictions by averaged share; the cell is trained as in a run of the matrix."""
    kept = folder / f"{cell.hash}.npz"
    if not kept.exists():
        np.savez(kept.with_suffix(".part.npz"), **_train(Workspace(home), cell))
        kept.with_suffix(".part.npz").rename(kept)
        print(cell.label, flush=True)
    with np.load(kept) as arrays:
        return dict(arrays)


def _train(workspace: Workspace, cell: Cell) -> dict[str, np.ndarray]:
    import torch

    from ctrbench.runner.parts import build
    from ctrbench.seeding import scoped_torch_seed
    from ctrbench.training import fit, predict

    torch.set_num_threads(1)
    parts = build(workspace, cell)
    model, packer = parts.model, parts.packer
    averages = {share: _Average() for share in AVERAGED}

    def snapshot(seen: float) -> None:  # called at twenty points of the epoch
        for share, average in averages.items():
            if seen > 1 - share + 1e-9:
                average.add(model)

    with scoped_torch_seed(cell.seed, "training"):
        fit(model, packer, parts.training, cell.seed, snapshot)
    found = {f"{LAST}": predict(model, packer, "test", lambda _: None)}
    for share, average in averages.items():
        model.load_state_dict(average.state())
        found[f"{share}"] = predict(model, packer, "test", lambda _: None)
    return found


class _Average:
    """Running mean of a model's weights."""

    def __init__(self) -> None:
        self._count, self._sum = 0, {}

    def add(self, model) -> None:
        self._count += 1
        for name, value in model.state_dict().items():
            self._sum[name] = self._sum.get(name, 0) + value.detach().double()

    def state(self) -> dict:
        return {name: (value / self._count).float() for name, value in self._sum.items()}
