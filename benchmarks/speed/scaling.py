"""What the speed of training depends on, and how far it is from what the machine can do.

`python benchmarks/speed/scaling.py` times steps of the baseline on logs drawn in memory, each in a
process of its own: against the mean length of histories, the batch, the rows of the item table and
how they are trained, and threads. Beside them the arithmetic of a step and what the machine does of
it: matrix products of the model's own shapes, timed in the same process. It writes
results/tables/speed_scaling.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
import torch.nn.functional as F
from watching import load

from ctrbench.executors import keep_freed_memory
from ctrbench.impressions.packing import Batch, InputSizes
from ctrbench.injection import Prepared
from ctrbench.injection.none import NoInjection
from ctrbench.models.din import DIN
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.training import optimizers

TABLE = Path(__file__).resolve().parents[2] / "results" / "tables" / "speed_scaling.md"
CATEGORIES, WIDTH = 100, 16
WARM, STEPS = 10, 40


@dataclass(frozen=True)
class Step:
    """One kind of step."""

    varied: str
    batch: int = 1024
    history: int = 20  # mean length
    items: int = 20_000
    table_optimizer: str = "lazy_adam"
    threads: int = 1


STEPS_TIMED = (
    *(Step("history", history=mean) for mean in (5, 10, 20, 50, 200)),
    *(Step("batch", batch=size) for size in (256, 1024, 4096, 8192)),
    *(
        Step("table", items=items, table_optimizer=way)
        for way in ("lazy_adam", "rowwise_adagrad", "adam")
        for items in (20_000, 200_000, 1_000_000, 10_000_000)
        if way != "adam" or items <= 1_000_000
    ),
    *(Step("threads", threads=threads) for threads in (1, 2)),
)


@dataclass(frozen=True)
class Timed:
    """What came of it."""

    step: Step
    step_s: float  # median
    operations: float  # floating point, of matrix products, forward and backward, of a step
    per_s: float  # of them when products of these shapes are all there is

    @property
    def samples_per_s(self) -> float:
        """Impressions trained."""
        return self.step.batch / self.step_s

    @property
    def ceiling(self) -> float:
        """Samples/s were there nothing but these products."""
        return self.step.batch * self.per_s / self.operations


def main() -> None:
    """Time every step and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    before = load()
    context = multiprocessing.get_context("spawn")
    timed = []
    for step in STEPS_TIMED:
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            timed.append(pool.submit(measure, step).result())
        print(_row(timed[-1]), flush=True)
    head = (
        f"One process; median of {STEPS} steps, packing aside. Ceiling: were there nothing but the "
        "step's own matrix products, at the speed that these reach alone on this machine. Load "
        f"before: {before:.1f}. Made by `benchmarks/speed/scaling.py`; do not edit.\n\n"
        "| varied | batch | mean history | items | tables by | threads | ms a step | samples/s | "
        "Mflop a sample | Gflop/s alone | ceiling, samples/s | of it |\n"
        "|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    TABLE.write_text(head + "\n".join(map(_row, timed)) + "\n", encoding="utf-8")


def measure(step: Step) -> Timed:
    """Train some steps; every batch asks for other rows of the table."""
    torch.set_num_threads(step.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    settings = ModelSettings(field_embedding_size=WIDTH)
    sizes = InputSizes(step.items + 1, {"category": CATEGORIES + 1}, 0, {}, 2)
    batches = [_batch(step, rng) for _ in range(4)]
    model = DIN(sizes, settings, NoInjection(), Prepared(), batches[0], seed=0)
    training = TrainingSettings(table_optimizer=step.table_optimizer)  # pyright: ignore
    chosen, seconds = optimizers(model, training), []
    for number in range(WARM + STEPS):
        batch = _other_rows(batches[number % len(batches)], step, rng)
        start = time.perf_counter()
        loss = F.binary_cross_entropy_with_logits(model(batch), batch.click)
        model.zero_grad()
        loss.backward()
        for optimizer in chosen:
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    operations, alone_s = _products(model, batches[0])
    return Timed(step, median(seconds[WARM:]), operations, operations / alone_s)


def _batch(step: Step, rng: np.random.Generator) -> Batch:
    """Popular items come up more often, so that a batch holds fewer distinct ones than slots."""
    length = rng.binomial(step.history * 5 // 2, 0.4, step.batch)
    row = np.repeat(np.arange(step.batch), length)
    drawn = (20_000 * rng.random(step.batch + len(row)) ** 2).astype(np.int64)
    items, index = np.unique(drawn, return_inverse=True)
    made = torch.from_numpy
    return Batch(
        click=made((rng.random(step.batch) < 0.3).astype(np.float32)),
        weight=torch.ones(step.batch),
        target=made(index[: step.batch]),
        history=made(index[step.batch :]),
        history_row=made(row),
        item_id=made(items),
        item_codes={"category": made(rng.integers(1, CATEGORIES + 1, len(items)))},
        item_numbers=torch.empty(len(items), 0),
        row_codes={},
        row_numbers=torch.randn(step.batch, 2),
        image_item={},
        image_slot={},
    )


def _other_rows(batch: Batch, step: Step, rng: np.random.Generator) -> Batch:
    item_id = 1 + rng.integers(0, step.items, len(batch.item_id))
    return replace(batch, item_id=torch.from_numpy(item_id))


def _products(model: DIN, batch: Batch) -> tuple[float, float]:
    """Operations of a step's matrix products, and the seconds they take one after the other."""
    slots, items, rows = len(batch.history), len(batch.item_id), len(batch.target)
    width, top_width = 2 * WIDTH, 4 * WIDTH + 2
    first, second = model.settings.attention
    wide, narrow = model.settings.top
    shapes = [(slots, width, first), (slots, first, second), (slots, second, 1)]
    shapes += [(items, width, first), (rows, width, first)]
    shapes += [(rows, top_width, wide), (rows, wide, narrow), (rows, narrow, 1)]
    operations = seconds = 0.0
    for n, k, m in shapes:
        left, right, out = torch.randn(n, k), torch.randn(k, m), torch.randn(n, m)
        for one, other in ((left, right), (out, right.t()), (left.t(), out)):
            times = []
            for _ in range(WARM):
                start = time.perf_counter()
                torch.mm(one, other)
                times.append(time.perf_counter() - start)
            operations += 2.0 * n * k * m
            seconds += median(times)
    return operations, seconds


def _row(timed: Timed) -> str:
    step = timed.step
    return (
        f"| {step.varied} | {step.batch:,} | {step.history} | {step.items:,} | "
        f"{step.table_optimizer} | {step.threads} | {1000 * timed.step_s:.1f} | "
        f"{timed.samples_per_s:,.0f} | {timed.operations / step.batch / 1e6:.2f} | "
        f"{timed.per_s / 1e9:.0f} | {timed.ceiling:,.0f} | "
        f"{100 * timed.samples_per_s / timed.ceiling:.0f} % |"
    )


if __name__ == "__main__":
    main()
