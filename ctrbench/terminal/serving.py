"""Exported folders and encoded items on the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench.terminal.output import echo

if TYPE_CHECKING:
    from ctrbench.serving import Encoded, Exported


def show_exported(found: Exported) -> None:
    """Print what was exported and how closely it was checked."""
    how = "trained again with equal predictions" if found.retrained else "stored weights"
    echo(f"wrote {found.folder}: cell {found.hash}, {found.label} ({how})")
    echo(
        f"Look-ups give the predictions of the benchmark on {found.impressions:,} test "
        f"impressions; onnxruntime and PyTorch differ by at most {found.onnx_difference:.1g}."
    )
    echo(f"Check it: python {found.folder}/serve_check.py")


def show_encoded(found: Encoded) -> None:
    """Print how many items were encoded."""
    missing = ""
    if found.without_vector:
        missing = f"; {found.without_vector:,} have a zero vector and count as items without one"
    echo(f"wrote {found.path}: {found.items:,} items{missing}")
    echo(f"Columns: {', '.join(found.columns)}")
