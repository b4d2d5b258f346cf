"""Add a version `random` to a data set that has no images.

`python -m benchmarks.random_version DATASET [--home DIR]`. A benchmark file requires a version.
With random vectors it trains the baseline, and measures what a mode gains from an identifier alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ctrbench import embeddings
from ctrbench.arrays import table_blocks
from ctrbench.impressions import read_manifest
from ctrbench.seeding import stream
from ctrbench.workspace import Workspace

WIDTH = 64
NAME = "random"


def main() -> None:
    """Parse the command line and add the version."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("dataset")
    parser.add_argument("--home", type=Path, default=Path())
    given = parser.parse_args()
    add(Workspace(given.home), given.dataset)


def add(workspace: Workspace, dataset: str) -> None:
    """Add normally distributed vectors for all items.

    Args:
        workspace: The workspace of the data set.
        dataset: The name of the data set.
    """
    manifest, chance = read_manifest(workspace, dataset), stream(0, "random version")
    blocks = (
        (item_ids, chance.standard_normal((len(item_ids), WIDTH), "float32"))
        for rows in table_blocks((manifest.counts["items"], WIDTH))
        for item_ids in [np.arange(1 + rows.start, 1 + rows.stop)]
    )
    embeddings.register(workspace, manifest, NAME, WIDTH, blocks, lambda: {"made": "at random"})


if __name__ == "__main__":
    main()
