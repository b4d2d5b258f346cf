"""Codebooks on the terminal."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from rich.table import Table

from ctrbench.terminal.output import console

if TYPE_CHECKING:
    from ctrbench.codebook_facts import Facts, FittedCodebooks, SizeFacts


def show_fitted(found: FittedCodebooks) -> None:
    """Print the statistics of fitted codebooks."""
    show(found.facts)


def show(found: Facts) -> None:
    """Print a column per size."""
    request = found.request
    columns = [_column(one, request.against) for one in found.sizes]
    first, *others = columns[0]
    title = f"{request.method} codebooks of {request.version} of {request.dataset}"
    table = Table(title=title)
    table.add_column(first)
    for column in columns:
        table.add_column(column[first], justify="right")
    for name in others:
        table.add_row(name, *(column[name] for column in columns))
    console().print(table)


def _column(one: SizeFacts, against: str | None) -> dict[str, str]:
    facts = one.facts
    found = {
        "centres": f"{facts.size:,}",
        "in use": f"{facts.used:.1%}",
        "entropy": f"{facts.entropy_bits:.2f} bits",
        "items of the largest": f"{facts.largest:.2%}",
        "items that share their code": f"{facts.collisions:.1%}",
        "inertia, mean squared distance": f"{facts.inertia:.3f}",
        "distances kept (rank correlation)": f"{facts.distances:.3f}",
        "ten nearest that share the code": "–"
        if math.isnan(facts.neighbours)
        else f"{facts.neighbours:.1%}",
        "  items at random": f"{facts.by_chance:.1%}",
    }
    if facts.rand is not None:
        found["over seeds: adjusted Rand"] = f"{facts.rand:.3f}"
        found["over seeds: mutual information"] = f"{facts.mutual:.3f}"
    if one.against is not None:
        found[f"with {against}: adjusted Rand"] = f"{one.against.rand:.3f}"
        found[f"with {against}: mutual information"] = f"{one.against.mutual:.3f}"
    return found
