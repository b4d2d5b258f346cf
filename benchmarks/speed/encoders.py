"""Images per second of the encoders, forward and backward.

`python -m benchmarks.speed.encoders` times a step of every encoder on random pixels and writes
results/tables/speed_encoders.md: images/s, floating point operations per image by torch's counter,
and operations per second. Decoding and random views are timed separately, on random pictures.
"""

from __future__ import annotations

import argparse
import io
import time
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.shared import write_table
from benchmarks.speed.watching import load, machine
from ctrbench import plugins
from ctrbench.pretraining import encoders
from ctrbench.pretraining.pictures import Pictures
from ctrbench.pretraining.sources import Pixels

WIDTH = 256
BATCHES = {"small": 256, "swin_t": 8}  # images per step; 64 for all others
REPEATS = 7
VIEWS = 256  # pictures to decode and to crop at random


def main() -> None:
    """Time every encoder and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    before = load()
    rows = [_row(name) for name in plugins.names("ctrbench.pretraining.encoders")]
    decoded, viewed = _pictures()
    write_table(
        "speed_encoders.md",
        f"A step forward and backward on random pixels, {given.threads} threads of torch, median "
        f"of {REPEATS}. {machine()}, torch {torch.__version__}, load before {before}. Made by "
        "`benchmarks/speed/encoders.py`; do not edit.\n\n"
        "| encoder | pixels | batch | parameters | MFLOP per image, forward | forward and backward "
        "| images/s | GFLOP/s |\n|---|---:|---:|---:|---:|---:|---:|---:|\n"
        + "\n".join(rows)
        + f"\n\nPictures of 64 pixels per second: {decoded:,.0f} decoded, {viewed:,.0f} decoded "
        "and augmented to a random view.",
    )


def _row(name: str) -> str:
    encoder = encoders.configured(name, {})
    torch.manual_seed(0)
    network = encoder.build(WIDTH)
    batch = BATCHES.get(name, 64)
    pixels = torch.randn(batch, 3, encoder.size, encoder.size)
    seconds = []
    for _ in range(REPEATS + 1):
        start = time.perf_counter()
        network(pixels).square().mean().backward()
        seconds.append(time.perf_counter() - start)
    step_s = median(seconds[1:])  # the first step is slow
    forward, both = _operations(network, pixels[:1])
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return (
        f"| {name} | {encoder.size} | {batch} | {parameters:,} | {forward / 1e6:,.1f} | "
        f"{both / 1e6:,.1f} | {batch / step_s:,.0f} | {both * batch / step_s / 1e9:,.1f} |"
    )


def _operations(network: torch.nn.Module, pixels: torch.Tensor) -> tuple[int, int]:
    """Return the operations per image: forward, and forward and backward."""
    with FlopCounterMode(display=False) as forward, torch.no_grad():
        network(pixels)
    with FlopCounterMode(display=False) as both:
        network(pixels).sum().backward()
    return forward.get_total_flops(), both.get_total_flops()


def _pictures() -> tuple[float, float]:
    """Return pictures per second: decoded, and decoded and cropped at random."""
    rng = np.random.default_rng(0)
    files = [b""]  # item 0 is unknown
    for _ in range(VIEWS):
        small = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        file = io.BytesIO()
        small.resize((64, 64)).save(file, "JPEG")
        files.append(file.getvalue())
    start = np.cumsum([0, *map(len, files)])
    data = np.frombuffer(b"".join(files), np.uint8)
    pictures = Pictures(start, data, np.diff(start) > 0, {}, "")
    source = Pixels(pictures, encoders.configured("small", {}), "", pictures.usable)
    items = np.arange(1, VIEWS + 1)
    rates = []
    for view in (None, (0, ("view", 0))):
        source.inputs(items, view)
        begin = time.perf_counter()
        source.inputs(items, view)
        rates.append(len(items) / (time.perf_counter() - begin))
    return rates[0], rates[1]


if __name__ == "__main__":
    main()
