"""Dependence of the training speed on sizes, compared with the peak of the machine.

`python -m benchmarks.speed.scaling` times steps on logs simulated in memory, each kind in a
separate process. It varies the mean length of histories, the batch size, the rows and the optimizer
of the item table, threads, and the injection mode. For comparison it times every matrix product of
the step alone, in the same process. It writes results/tables/speed_scaling.md.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from statistics import median
from typing import Any, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks.shared import write_table
from benchmarks.speed.watching import load, machine
from ctrbench.batches.packing import Batch, InputSizes
from ctrbench.executors import keep_freed_memory
from ctrbench.injection import Prepared, load_mode
from ctrbench.loops import _loading
from ctrbench.loops.functions import multiply
from ctrbench.models.din import DIN
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.training import optimizers

CATEGORIES, WIDTH, VECTOR_WIDTH, CODES = 100, 16, 64, 200
WARM, STEPS = 10, 40
GROUP_ROWS = 4096


@dataclass(frozen=True)
class TimedStep:
    """One kind of step."""

    varied: str
    batch: int = 1024
    history: int = 20  # mean length
    items: int = 20_000
    table_optimizer: str = "lazy_adam"
    threads: int = 1
    mode: str = "none"


STEPS_TIMED = (
    *(TimedStep("history", history=mean) for mean in (5, 10, 20, 50, 200)),
    *(TimedStep("batch", batch=size) for size in (256, 1024, 4096, 8192)),
    *(
        TimedStep("table", items=items, table_optimizer=way)
        for way in ("lazy_adam", "rowwise_adagrad", "adam")
        for items in (20_000, 200_000, 1_000_000, 10_000_000)
        if way != "adam" or items <= 1_000_000
    ),
    *(TimedStep("threads", threads=threads) for threads in (1, 2)),
    *(TimedStep("mode", mode=mode) for mode in ("none", "vector", "sim_score", "cluster_id")),
)


@dataclass(frozen=True)
class Timed:
    """The measurements of one kind of step."""

    step: TimedStep
    step_s: float  # median
    operations: float  # floating point operations of the matrix products, forward and backward
    torch_s: float  # of these products alone, with torch
    loop_s: float  # and with the compiled loop

    @property
    def samples_per_s(self) -> float:
        """Return trained impressions per second."""
        return self.step.batch / self.step_s


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
        f"One process; median of {STEPS} steps without packing. Share of a ceiling: the time of "
        "the matrix products alone, with torch in groups that fit into the cache or with our "
        f"compiled loop, divided by that of the step. {machine()}, load before: {before}. Made by "
        "`benchmarks/speed/scaling.py`; do not edit.\n\n"
        "| varied | image information | batch | mean history | items | table optimizer "
        "| threads | ms/step | samples/s | Mflop/sample | Gflop/s alone, torch | share | "
        "Gflop/s alone, loop | share |\n"
        "|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|---:|\n"
    )
    write_table("speed_scaling.md", head + "\n".join(map(_row, timed)))


def measure(step: TimedStep) -> Timed:
    """Train some steps; every batch uses different rows of the table."""
    torch.set_num_threads(step.threads)
    keep_freed_memory()
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    settings = ModelSettings(field_embedding_size=WIDTH)
    sizes = InputSizes(step.items + 1, {"category": CATEGORIES + 1}, 0, {}, 2)
    prepared = _prepared(step.mode, rng)
    batches = [_batch(step, prepared, rng) for _ in range(4)]
    mode = load_mode(step.mode, {})
    model = DIN(sizes, settings, mode, prepared, batches[0], seed=0)
    training = TrainingSettings(table_optimizer=step.table_optimizer)  # pyright: ignore
    chosen, seconds = optimizers(model, training), []
    for number in range(WARM + STEPS):
        batch = _other_rows(batches[number % len(batches)], step, rng)
        start = time.perf_counter()
        _learn(model, batch)
        for optimizer in chosen:
            optimizer.step()
        seconds.append(time.perf_counter() - start)
    with _Products() as products:
        _learn(model, batches[0])
    return Timed(step, median(seconds[WARM:]), *products.alone())


def _learn(model: DIN, batch: Batch) -> None:
    loss = F.binary_cross_entropy_with_logits(model(batch), batch.click)
    model.zero_grad()
    loss.backward()


def _prepared(mode: str, rng: np.random.Generator) -> Prepared:
    """Return the prepared arrays of a mode; similarities are part of the batch."""
    rows = TimedStep.items
    vectors = rng.standard_normal((rows, VECTOR_WIDTH), np.float32) / VECTOR_WIDTH**0.5
    present = np.ones((rows, 1), np.float32)
    return {
        "none": Prepared(),
        "vector": Prepared(item={"vector": vectors, "missing": 1 - present}),
        "sim_score": Prepared(item={"has_vector": present[:, 0]}),
        "cluster_id": Prepared(item={"code": rng.integers(1, CODES + 1, (rows, 1))}),
    }[mode]


def _batch(step: TimedStep, prepared: Prepared, rng: np.random.Generator) -> Batch:
    """Draw a batch; popular items repeat, so there are fewer distinct items than slots."""
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
        image_item={name: made(values[items]) for name, values in prepared.item.items()},
        image_slot=(
            {"score": made(rng.uniform(-1, 1, len(row)).astype(np.float32))}
            if step.mode == "sim_score"
            else {}
        ),
    )


def _other_rows(batch: Batch, step: TimedStep, rng: np.random.Generator) -> Batch:
    item_id = 1 + rng.integers(0, step.items, len(batch.item_id))
    return replace(batch, item_id=torch.from_numpy(item_id))


class _Products(TorchDispatchMode):
    """Record every matrix product, including those of the backward pass and of compiled loops."""

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[tuple[int, int, int]] = Counter()  # (n, k) times (k, m)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func.overloadpacket.__name__ in ("mm", "addmm", "addmm_"):
            left, right = (value for value in args[-2:] if isinstance(value, Tensor))
            self.found[left.shape[0], left.shape[1], right.shape[1]] += 1
        return func(*args, **(kwargs or {}))

    def __enter__(self) -> Self:
        self._loop = _loading._loop

        def recorded(name: str, sizes: tuple[bool, ...]) -> Any:
            def call(*given: int) -> None:
                for product in IN_LOOPS.get(name, lambda *sizes: [])(*given):
                    self.found[product] += min(product) > 0
                self._loop(name, sizes)(*given)

            return call

        _loading._loop = recorded  # pyright: ignore[reportAttributeAccessIssue]
        return super().__enter__()

    def __exit__(self, *raised: Any) -> None:
        _loading._loop = self._loop
        super().__exit__(*raised)

    def alone(self) -> tuple[float, float, float]:
        """Return the floating point operations, and the seconds alone by torch and by our loop."""
        operations = by_torch = by_loop = 0.0
        for (n, k, m), count in self.found.items():
            left, right, out = torch.randn(n, k), torch.randn(k, m), torch.zeros(n, m)
            parts = list(zip(left.split(GROUP_ROWS), out.split(GROUP_ROWS), strict=True))

            def of_torch(parts: Any = parts, right: Tensor = right) -> None:
                for part, product in parts:
                    torch.mm(part, right, out=product)

            operations += count * 2.0 * n * k * m
            by_torch += count * _seconds(of_torch)
            by_loop += count * _seconds(partial(multiply, left, right))
        return operations, by_torch, by_loop


IN_LOOPS: dict[str, Callable[..., list[tuple[int, int, int]]]] = {  # by leading arguments
    "multiply": lambda n, k, m, *_: [(n, k, m)],
    "pair_forward": lambda n, e, s, h, *_: [(n, e, h), (n, s, h)],
    "pair_backward": lambda n, e, s, h, *_: [(n, h, e), (e, n, h), (n, h, s), (s, n, h)],
    "dice_forward": lambda n, h, o, *_: [(n, h, o)],
    "dice_backward": lambda n, h, o, *_: [(n, o, h), (o, n, h)],
}


def _seconds(product: Callable[[], Any]) -> float:
    times = []
    for _ in range(WARM):
        start = time.perf_counter()
        product()
        times.append(time.perf_counter() - start)
    return median(times)


def _row(timed: Timed) -> str:
    step = timed.step
    return (
        f"| {step.varied} | {step.mode} | {step.batch:,} | {step.history} | {step.items:,} | "
        f"{step.table_optimizer} | {step.threads} | {1000 * timed.step_s:.1f} | "
        f"{timed.samples_per_s:,.0f} | {timed.operations / step.batch / 1e6:.2f} | "
        + " | ".join(
            f"{timed.operations / alone_s / 1e9:.0f} | {100 * alone_s / timed.step_s:.0f} %"
            for alone_s in (timed.torch_s, timed.loop_s)
        )
        + " |"
    )


if __name__ == "__main__":
    main()
