"""Several processes that train on one global batch, or one that has it all to itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from ctrbench.errors import CtrBenchError

T = TypeVar("T")


class FirstProcessError(CtrBenchError):
    """The first process stopped, and says itself why."""


class Processes:
    """The processes of a run started by torchrun; without one, a single process.

    Every method is called by all of them, in the same order.
    """

    def __init__(self) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.count: int = dist.get_world_size() if there else 1
        self.rank: int = dist.get_rank() if there else 0

    def total(self, number: float) -> float:
        """The sum of a number over all processes."""
        return float(self._each(number).sum())

    def first(self, work: Callable[[], T]) -> T | None:
        """What the first process makes of some work, for which the others wait; None in these.

        Raises:
            FirstProcessError: in the others, where the work failed; the first raises its own error.
        """
        made = None
        if self.rank == 0:
            try:
                made = work()
            except Exception:
                self.total(1)
                raise
        if self.total(0):
            raise FirstProcessError("the first process stopped; its own message says why.")
        return made

    def offset(self, number: int) -> int:
        """The sum over the processes before this one: where its part begins in what is gathered."""
        return int(self._each(number)[: self.rank].sum())

    def gather(self, values: Tensor) -> Tensor:
        """The rows of all processes, in order of rank; gradients find their way back.

        Args:
            values: (n, ...), n may differ from process to process.
        """
        if self.count == 1:
            return values
        lengths = [int(length) for length in self._each(len(values))]
        padded = values.new_zeros((max(lengths), *values.shape[1:]))
        padded = torch.cat([values, padded[len(values) :]])
        every = _Gather.apply(padded, self.rank, self.count)
        return torch.cat([part[:length] for part, length in zip(every, lengths, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """The sum over all processes, with a gradient."""
        return values if self.count == 1 else _Sum.apply(values)

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes.

        Not by DistributedDataParallel: with cached gradients a step has several backward passes,
        and only their sum is to travel. A parameter that the batch did not use has a gradient of 0,
        by however many processes.
        """
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if self.count > 1:
                dist.all_reduce(parameter.grad)

    def _each(self, number: float) -> Tensor:
        """(processes,) the number of every process."""
        if self.count == 1:
            return torch.tensor([number], dtype=torch.float64)
        own = torch.zeros(self.count, dtype=torch.float64)
        own[self.rank] = number
        dist.all_reduce(own)
        return own


class BatchNorm(nn.Module):
    """Batch normalisation with the statistics of all processes; `nn.SyncBatchNorm` needs a GPU."""

    def __init__(self, width: int, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.across = eps, Processes()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=affine)
        self.bias = nn.Parameter(torch.zeros(width), requires_grad=affine)

    def forward(self, values: Tensor) -> Tensor:
        """(n, D) -> (n, D); training alone uses it, so there are no moving statistics."""
        count = max(self.across.total(len(values)), 1)
        mean = self.across.sum(values.sum(dim=0)) / count
        centred = values - mean
        variance = self.across.sum(centred.square().sum(dim=0)) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class _Gather(torch.autograd.Function):
    """(n, ...) -> (processes, n, ...)."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, rank: int, count: int) -> Tensor:
        ctx.rank = rank
        every = [torch.empty_like(values) for _ in range(count)]
        dist.all_gather(every, values.contiguous())
        return torch.stack(every)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient[ctx.rank], None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        gradient = gradients[0].contiguous().clone()
        dist.all_reduce(gradient)
        return gradient
