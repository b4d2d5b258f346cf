"""Adam with a compiled loop, and sparse optimisers of embedding tables.

Adam updates every row of a table at every step, since its running means decay for all rows. Its
time and memory traffic are proportional to the size of the table; those of the sparse optimisers,
which update only the rows of a batch, are not.

The classes do not derive from torch.optim.Optimizer, whose first use imports torch._dynamo: that
takes as long as the import of torch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from ctrbench.loops import load_loops, run_loop

BETAS = 0.9, 0.999
EPS = 1e-8


class Optimizer(ABC):
    """Updates parameters from their gradients."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        """Start without a state.

        Args:
            parameters: The parameters.
            lr: The learning rate.
        """
        self.parameters, self.lr, self.steps = list(parameters), lr, 0
        self.state = [{} for _ in self.parameters]

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters that have a gradient."""
        self.steps += 1
        for parameter, state in zip(self.parameters, self.state, strict=True):
            if parameter.grad is not None:
                self.update(parameter, parameter.grad, state)

    @abstractmethod
    def update(self, parameter: nn.Parameter, gradient: Tensor, state: dict[str, Tensor]) -> None:
        """Update a parameter and its state, which is empty at first."""

    def state_dict(self) -> dict[str, Any]:
        """Return the state, for `load_state_dict`."""
        return {"steps": self.steps, "state": self.state}

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state of the same parameters."""
        self.steps = saved["steps"]
        self.state = [{name: one.clone() for name, one in of.items()} for of in saved["state"]]


class Adam(Optimizer):
    """Adam with a compiled loop; without a C compiler, with torch.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1.
    """

    def update(self, parameter: nn.Parameter, gradient: Tensor, state: dict[str, Tensor]) -> None:
        """Update all numbers of a parameter."""
        if not state:
            state |= {name: torch.zeros_like(parameter) for name in ("mean", "square")}
        factors, mean, square = _factors(self), state["mean"], state["square"]
        if _in_loops(parameter):
            arrays = gradient.contiguous(), mean, square, parameter.data
            run_loop("adam", parameter.numel(), torch.tensor(factors), *arrays)
            return
        of_mean, of_square, size, corrected, eps = factors
        mean.lerp_(gradient, of_mean)
        square.mul_(1 - of_square).addcmul_(gradient, gradient, value=of_square)
        parameter.addcdiv_(mean, square.sqrt().mul_(corrected).add_(eps), value=-size)


class LazyAdam(Optimizer):
    """Adam in which the running means of a row decay only when the row has a gradient.

    The bias correction counts all steps, so a row that first occurs late takes a smaller first step
    than with Adam. If every row has a gradient, this is Adam.

    Source: Kingma and Ba 2015, arXiv:1412.6980, algorithm 1, row by row.
    """

    def update(self, parameter: nn.Parameter, gradient: Tensor, state: dict[str, Tensor]) -> None:
        """Update the rows that have a gradient."""
        if not state:
            state |= {name: torch.zeros_like(parameter) for name in ("mean", "square")}
        factors, (ids, gradient) = _factors(self), _rows(gradient)
        if _in_loops(parameter):
            arrays = ids, gradient, state["mean"], state["square"], parameter.data
            run_loop("lazy_adam", *gradient.shape, torch.tensor(factors), *arrays)
            return
        of_mean, of_square, size, corrected, eps = factors
        mean = state["mean"].index_select(0, ids).lerp_(gradient, of_mean)
        square = state["square"].index_select(0, ids).mul_(1 - of_square)
        square.addcmul_(gradient, gradient, value=of_square)
        state["mean"].index_copy_(0, ids, mean)
        state["square"].index_copy_(0, ids, square)
        scale = square.sqrt_().mul_(corrected).add_(eps)
        moved = parameter.index_select(0, ids).addcdiv_(mean, scale, value=-size)
        parameter.index_copy_(0, ids, moved)


class RowwiseAdagrad(Optimizer):
    """Adagrad with one state per row, the running sum of the mean squares of its gradients.

    Source: Duchi et al. 2011, JMLR 12; one step size per row as in Naumov et al. 2019,
    arXiv:1906.00091 (DLRM).
    """

    def update(self, parameter: nn.Parameter, gradient: Tensor, state: dict[str, Tensor]) -> None:
        """Update the rows that have a gradient."""
        if not state:
            state["sum"] = parameter.new_zeros(len(parameter))
        ids, gradient = _rows(gradient)
        total = state["sum"].index_select(0, ids) + gradient.square().mean(dim=1)
        state["sum"].index_copy_(0, ids, total)
        step = gradient / (total.sqrt_() + EPS)[:, None]
        parameter.index_add_(0, ids, step, alpha=-self.lr)


def _factors(adam: Optimizer) -> tuple[float, float, float, float, float]:
    """Return the factors of a step as the loop `adam` requires them."""
    (first, second), steps = BETAS, adam.steps
    size, corrected = adam.lr / (1 - first**steps), (1 - second**steps) ** -0.5
    return 1 - first, 1 - second, size, corrected, EPS


def _in_loops(parameter: Tensor) -> bool:
    return load_loops() is not None and parameter.is_cpu and parameter.dtype is torch.float32


def _rows(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Return the distinct ids with a gradient, (n,), and their gradients, (n, E)."""
    if gradient.is_coalesced() or not _in_loops(gradient):
        gradient = gradient.coalesce()
        return gradient.indices()[0], gradient.values()
    ids, rows = gradient._indices()[0].clone(), gradient._values().clone()
    places = ids.new_empty(2 << len(ids).bit_length())
    count = ids.new_empty(1)
    run_loop("merge_rows", *rows.shape, len(places), ids, rows, places, count)
    return ids[: int(count)], rows[: int(count)]
