"""Finished tables with any deltas, in percentage points: `{"v7": {"vector": Deltas(0.5, 0.1)}}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from ctrbench.analysis.answer import answer
from ctrbench.analysis.blocks import Block, Entry, Line
from ctrbench.analysis.shown import Health, Learning, Place, Shown, TrainingCost
from ctrbench.analysis.table import ComparisonTable
from ctrbench.plan import Row
from ctrbench.schema import Control
from ctrbench.stats import Delta, Inference
from ctrbench.stats.contrast import Variance
from tests.analysis.made import column

SHUFFLED = Control(kind="shuffled")
SEEDS = (0, 1, 2)
POWER = NormalDist().inv_cdf(0.975) + NormalDist().inv_cdf(0.8)


@dataclass(frozen=True)
class Deltas:
    """The deltas of one arm in pp; `image` and `sibling` are set if a sibling was run."""

    gain: float
    half: float = 0.2
    image: float | None = None
    sibling: float = 0.0  # the sibling's own gain
    seeds: tuple[int, ...] = SEEDS


def inferred(estimate: float, half: float, seeds: tuple[int, ...] = SEEDS) -> Inference:
    error = half / 100 / 1.96
    return Inference(
        seeds=seeds,
        estimate=estimate / 100,
        variance=Variance(
            users=0.7 * error**2,
            user_degrees=100,
            seeds=0.3 * error**2 if len(seeds) > 1 else 0,
            seed_degrees=len(seeds) - 1,
        ),
        low=(estimate - half) / 100,
        high=(estimate + half) / 100,
        p_value=0.5,
        p_adjusted=0.5,
        p_holm=0.5,
        p_bh=0.5,
        smallest_effect=POWER * error,
    )


def entry(estimate: float | None, half: float, seeds: tuple[int, ...] = SEEDS) -> Entry:
    if estimate is None:
        return Entry("missing", None)
    delta = Delta(estimate, half / 2 if len(seeds) > 1 else None, seeds)
    return Entry("done", delta, inference=inferred(estimate, half, seeds))


def finished(arms: Mapping[str, Mapping[str, Deltas | None]]) -> ComparisonTable:
    columns = tuple(column(name) for name in next(iter(arms.values())))
    rows = {name: list(own.values()) for name, own in arms.items()}
    with_sibling = [n for n, own in rows.items() if any(o and o.image is not None for o in own)]
    none = Deltas(0.0)
    gains = [Line(None, None, tuple(entry(0.0, 0.0) for _ in columns))]
    for name, own in rows.items():
        entries = (entry(o.gain, o.half, o.seeds) if o else entry(None, 0) for o in own)
        gains.append(Line(Row(name), None, tuple(entries)))
    images = []
    for name in with_sibling:
        sibling = Row(name, SHUFFLED)
        own = [one or none for one in rows[name]]
        gains.append(Line(sibling, None, tuple(entry(o.sibling, o.half, o.seeds) for o in own)))
        entries = tuple(entry(o.image, o.half, o.seeds) for o in own)
        images.append(Line(Row(name), sibling, entries))
    title = "GAUC, delta against the baseline, pp"
    blocks = [Block(title, "", "gauc", "", "baseline", tuple(gains))]
    if images:
        blocks.append(Block("against the sibling", "", "gauc", "", "shuffled", tuple(images)))
    part = "GAUC on items unseen in training, delta against the baseline, pp (exploratory)"
    blocks.append(Block(part, "", "gauc", "unseen_items", "baseline", tuple(gains)))
    found = answer(blocks, columns, 0.0005, 0.001)
    caption = ("A caption.",)
    return ComparisonTable("films", caption, columns, SEEDS, tuple(blocks), found, None, (), ())


def shown(arms: Mapping[str, Mapping[str, Deltas | None]]) -> Shown:
    """Return the same table with curves, costs and codebooks."""
    table = finished(arms)
    places = tuple(
        Place(line.row, column, one.inference, status=one.status)
        for line in table.blocks[0].lines
        if line.row is not None
        for column, one in zip(table.columns, line.entries, strict=True)
    )
    done = [place for place in places if place.gain is not None]
    steps = tuple(range(1000, 21000, 1000))
    return Shown(
        table=table,
        places=places,
        learning=tuple(
            Learning(one.row, one.column, steps, tuple(0.1 * at for at in range(20)))
            for one in done
        ),
        codes=(),
        costs=tuple(TrainingCost(one, 3.0 + at, 1000.0 * at, 1e8) for at, one in enumerate(done)),
        health=tuple(Health(one, {"codes_used": 0.9, "largest_code": 0.1}) for one in done),
        missing=(),
        quality={},
    )
