"""Trains worlds of other constructions than the map, on which its predictions are checked.

Those of `worlds` are part of the fit of `advice.py`; those of `held_out` never are.

`python -m benchmarks.regimes.outside --root DIR` adds one row per cell to
results/tables/regimes_outside.csv, as `study.py` does for the map.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from benchmarks.regimes.study import (
    CONTROL,
    Point,
    add_missing,
    arguments,
    control_rows,
    trained_rows,
)
from benchmarks.shared import TABLES
from data_synth.world import WorldConfig

LAST = "last"  # begins the names of the worlds that are younger than the method of the fit
OUTSIDE = TABLES / "regimes_outside.csv"
IMPRESSIONS, REPLICATES, HELD_OUT_REPLICATES = 60_000, 3, 2


@dataclass(frozen=True)
class OtherWorld(Point):
    """A world that is no point of the design."""

    kind: str = "taste"
    strength: float = 0.7
    within_style_deg: float = 27.0
    groups: int = 12  # categories, and styles
    roles: int | None = None  # world `complement`; None: one per category
    first_seed: int = 0  # of the worlds

    def config(self, replicate: int) -> WorldConfig:
        """Return the world of a replicate."""
        changed = replace(
            super().config(replicate),
            kind=self.kind,
            strength=self.strength,
            within_style_deg=self.within_style_deg,
            categories=self.groups,
            styles=self.groups,
            seed=self.first_seed + replicate,
        )
        if self.kind == "complement":
            return replace(changed, roles=self.roles)
        return replace(changed, alignment=None, roles=None)

    def files(self, replicate: int) -> Iterator[str]:
        """Yield the benchmark files of `Point`, for the data set of this world."""
        for text in super().files(replicate):
            yield text.replace("dataset: complement", f'dataset: "{self.kind}"')


def worlds() -> list[OtherWorld]:
    """Return the worlds: a role per category, new items, copies, other causes, tight styles."""
    return [
        _world("own-roles", kind="complement", alignment=0.3),
        _world("cold", kind="cold"),
        _world("redundant", kind="redundant", groups=100),
        _world("spurious", kind="spurious", strength=0.0, versions=("source",)),
        _world("tight", within_style_deg=8.0, per_user=100),
    ]


def held_out() -> list[OtherWorld]:
    """Return worlds that no fit uses; they were chosen, and committed, before they were trained.

    They differ from all others in alignment, roles, strength, sizes, tail, styles and vectors. The
    method of the fit was changed after the first four, and again after the next four; the last four
    were trained after both changes.
    """
    seen = {"replicates": HELD_OUT_REPLICATES, "first_seed": 700}
    fresh = {"replicates": HELD_OUT_REPLICATES, "first_seed": 800}
    roles = {"kind": "complement", "roles": 4, "groups": 20, "alignment": 0.6}
    noisy = {"kind": "complement", "roles": 3, "alignment": 0.3, "versions": ("noisy_2",)}
    six = {"kind": "complement", "roles": 6, "groups": 16, "alignment": 0.8, "items_per_1000": 8}
    turned = {"kind": "complement", "roles": 2, "alignment": 0.1, "strength": 1.0}
    tail = {"popularity_exponent": 1.2}
    last = {"replicates": HELD_OUT_REPLICATES, "first_seed": 900}
    five = {"kind": "complement", "roles": 5, "groups": 15, "alignment": 0.45, "strength": 0.9}
    noise = {"versions": ("noisy_0.5",), "popularity_exponent": 0.5, "items_per_1000": 8}
    return [
        _world("held-roles", **seen, **roles, impressions=150_000, per_user=80, items_per_1000=5),
        _world("held-weak", **seen, impressions=200_000, strength=0.5, popularity_exponent=1.0),
        _world("held-cold", **seen, kind="cold", impressions=100_000, strength=0.9, per_user=40),
        _world("held-noisy", **seen, **noisy, impressions=100_000, strength=1.2),
        _world("fresh-roles", **fresh, **six, impressions=250_000, per_user=50, strength=0.8),
        _world("fresh-tail", **fresh, **tail, impressions=80_000, per_user=100, strength=0.6),
        _world("fresh-turned", **fresh, **turned, impressions=120_000, items_per_1000=15),
        _world("fresh-copies", **fresh, kind="redundant", impressions=150_000, groups=100),
        _world(f"{LAST}-roles", **last, **five, impressions=180_000, per_user=70),
        _world(f"{LAST}-noise", **last, **noise, impressions=80_000, strength=1.1, per_user=45),
        _world(f"{LAST}-cold", **last, kind="cold", impressions=220_000, strength=0.8, per_user=90),
        _world(f"{LAST}-null", **last, kind="null", strength=0.0, impressions=100_000, per_user=80),
    ]


def sized() -> list[OtherWorld]:
    """Return worlds that no fit uses, in which only codebook sizes are trained (`codebooks.py`)."""
    seen = {"replicates": HELD_OUT_REPLICATES, "first_seed": 1000}
    roles = {"kind": "complement", "roles": 3, "alignment": 0.7, "items_per_1000": 10}
    fine = {"within_style_deg": 15.0, "items_per_1000": 12}
    return [
        _world("sized-roles", **seen, **roles, groups=25, impressions=160_000, strength=1.0),
        _world("sized-many", **seen, **fine, groups=60, impressions=200_000, strength=1.0),
        _world("sized-some", **seen, **fine, groups=30, impressions=120_000, strength=1.2),
        _world("sized-cold", **seen, kind="cold", groups=40, impressions=150_000, strength=1.0),
        _world("sized-few", **seen, versions=("noisy_2",), groups=8, impressions=100_000),
    ]


def controls() -> list[OtherWorld]:
    """Return the same worlds with random vectors."""
    return [replace(world, versions=(CONTROL,)) for world in [*worlds(), *held_out()]]


def _world(name: str, **changes: Any) -> OtherWorld:
    return replace(OtherWorld(name, IMPRESSIONS, REPLICATES, 1.0, items_per_1000=20), **changes)


def main() -> None:
    """Train the worlds that are not stored yet."""
    given = arguments(__doc__).parse_args()
    of_outside = partial(control_rows, path=OUTSIDE)
    for train, known in ((trained_rows, [*worlds(), *held_out()]), (of_outside, controls())):
        pairs = ((world, replicate) for replicate in range(REPLICATES) for world in known)
        pairs = (pair for pair in pairs if pair[1] < pair[0].replicates)
        add_missing(pairs, train, OUTSIDE, given)


if __name__ == "__main__":
    main()
