"""Loops over rows that are compiled from C, for the CPU; without a C compiler there are none."""

from ctrbench.loops._loading import BLOCK_ROWS, load_loops, run_loop, usable

__all__ = ["BLOCK_ROWS", "load_loops", "run_loop", "usable"]
