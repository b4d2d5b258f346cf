"""Sparse optimisers of embedding tables, which update only the rows of a batch.

Adam updates every row at every step, since its running means decay for all rows. Its time and
memory traffic are proportional to the size of the table; those of these optimisers are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn


class LazyAdam(torch.optim.Optimizer):
    """Adam in which the running means of a row decay only when the row has a gradient.

    The bias correction counts all steps, so a row that first occurs late takes a smaller first step
    than with Adam. If every row has a gradient, this is torch.optim.Adam.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, row by row.
    """

    def __init__(
        self,
        tables: Iterable[nn.Parameter],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
    ) -> None:
        super().__init__(tables, {"lr": lr, "betas": betas, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore
        """Update the rows that have a gradient."""
        del closure
        for table, group in _tables(self):
            ids, gradient = _rows(table)
            state = self.state[table]
            if not state:
                state["step"] = 0
                state["mean"], state["square"] = (torch.zeros_like(table) for _ in range(2))
            state["step"] += 1
            first, second = group["betas"]
            mean = state["mean"].index_select(0, ids).lerp_(gradient, 1 - first)
            square = state["square"].index_select(0, ids).mul_(second)
            square.addcmul_(gradient, gradient, value=1 - second)
            state["mean"].index_copy_(0, ids, mean)
            state["square"].index_copy_(0, ids, square)
            scale = (square / (1 - second ** state["step"])).sqrt_().add_(group["eps"])
            size = group["lr"] / (1 - first ** state["step"])
            moved = table.index_select(0, ids).addcdiv_(mean, scale, value=-size)
            table.index_copy_(0, ids, moved)


class RowwiseAdagrad(torch.optim.Optimizer):
    """Adagrad with one state per row, the running sum of the mean squares of its gradients.

    Source: Duchi et al. 2011, JMLR 12; one step size per row as in Naumov et al. 2019,
    arXiv:1906.00091 (DLRM).
    """

    def __init__(self, tables: Iterable[nn.Parameter], lr: float = 1e-2, eps: float = 1e-8) -> None:
        super().__init__(tables, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # pyright: ignore
        """Update the rows that have a gradient."""
        del closure
        for table, group in _tables(self):
            ids, gradient = _rows(table)
            state = self.state[table]
            if not state:
                state["sum"] = table.new_zeros(len(table))
            total = state["sum"].index_select(0, ids) + gradient.square().mean(dim=1)
            state["sum"].index_copy_(0, ids, total)
            step = gradient / (total.sqrt_() + group["eps"])[:, None]
            table.index_add_(0, ids, step, alpha=-group["lr"])


def _tables(optimizer: torch.optim.Optimizer) -> Iterable[tuple[nn.Parameter, dict[str, Any]]]:
    for group in optimizer.param_groups:
        for table in group["params"]:
            if table.grad is not None:
                yield table, group


def _rows(table: nn.Parameter) -> tuple[Tensor, Tensor]:
    """Return the distinct ids with a gradient, (n,), and their gradients, (n, E)."""
    assert table.grad is not None
    gradient = table.grad.coalesce()
    return gradient.indices()[0], gradient.values()
