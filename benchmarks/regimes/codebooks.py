"""Trains `cluster_id` with every codebook size that `ctrbench advise` considers.

`python -m benchmarks.regimes.codebooks --root DIR` does so in the worlds that no fit uses, and adds
one row per size to results/tables/regimes_codebooks.csv. README.md states how the sizes that
`advise` calls useful are judged by them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial

from benchmarks.regimes.outside import OUTSIDE, OtherWorld, held_out
from benchmarks.regimes.study import add_missing, arguments, control_rows
from benchmarks.regimes.traits import read_traits
from benchmarks.shared import TABLES
from ctrbench.advising.prediction import SIZED
from ctrbench.injection import load_mode
from ctrbench.schema import Cell

CODEBOOKS = TABLES / "regimes_codebooks.csv"


@dataclass(frozen=True)
class SizedWorld(OtherWorld):
    """A world in which `cluster_id` is trained with several codebook sizes."""

    def sizes(self, replicate: int) -> tuple[int, ...]:
        """Return the codebook sizes, which are those of the stored traits.

        Args:
            replicate: The number of the replicate.
        """
        return tuple(read_traits()[self.name, str(replicate), self.versions[0]].codes_pp)

    def modes(self, replicate: int) -> Sequence[tuple[str, dict[str, object]]]:
        """Return the modes of the benchmark file.

        Args:
            replicate: The number of the replicate.
        """
        return ((f"  {SIZED}: {{codebook_size: {[*self.sizes(replicate)]}}}\n", {}),)

    def label(self, cell: Cell) -> str:
        """Return the name of a mode with its codebook size.

        Args:
            cell: A cell of `files`.
        """
        if cell.version is None:
            return cell.mode
        size = load_mode(cell.mode, cell.mode_settings).model_dump()["codebook_size"]
        return f"{cell.mode}/{size}"


def worlds() -> list[SizedWorld]:
    """Return the worlds that no fit uses."""
    return [
        SizedWorld(**{field.name: getattr(world, field.name) for field in fields(world)})
        for world in held_out()
    ]


def main() -> None:
    """Train the worlds that are not stored yet."""
    pairs = ((world, replicate) for world in worlds() for replicate in range(world.replicates))
    train = partial(control_rows, path=OUTSIDE)  # whose baselines are stored
    add_missing(pairs, train, CODEBOOKS, arguments(__doc__).parse_args())


if __name__ == "__main__":
    main()
