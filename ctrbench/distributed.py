"""Communication of processes that train on one global batch; also works with one process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn  # loaded later, its defaults would hold the group past its end
from torch import Tensor, nn

from ctrbench.errors import CtrBenchError

T = TypeVar("T")


class FirstProcessError(CtrBenchError):
    """The first process stopped; it reports the reason itself."""


@contextmanager
def process_group(local_rank: int) -> Iterator[None]:
    """Join the processes that torchrun started within the block.

    Args:
        local_rank: The number of this process on its machine, which selects its GPU.
    """
    timeout = timedelta(days=7)  # all wait while the first encodes every item
    if torch.cuda.is_available():
        torch.cuda.set_device(local_rank)  # what `device: cuda` then means
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=timeout)
    else:
        dist.init_process_group("gloo", timeout=timeout)
    try:
        yield
    finally:
        dist.destroy_process_group()


class Processes:
    """The processes of a run that torchrun started; otherwise a single process.

    All processes must call the methods in the same order.
    """

    def __init__(self) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.count: int = dist.get_world_size() if there else 1
        self.rank: int = dist.get_rank() if there else 0

    def total(self, number: float) -> float:
        """Return the sum of a number over all processes."""
        return float(self._each(number).sum())

    def first(self, work: Callable[[], T]) -> T | None:
        """Run a function in the first process only, and return its result; the others wait.

        Args:
            work: The function.

        Returns:
            The result in the first process; None in the others.

        Raises:
            FirstProcessError: The function failed; raised in the other processes, while the first
                one raises the original error.
        """
        made = None
        if self.rank == 0:
            try:
                made = work()
            except Exception:
                self.total(1)
                raise
        if self.total(0):
            raise FirstProcessError("the first process stopped; see its message for the reason.")
        return made

    def offset(self, number: int) -> int:
        """Return the sum over the previous processes: the start of this part after `gather`."""
        return int(self._each(number)[: self.rank].sum())

    def gather(self, values: Tensor) -> Tensor:
        """Return the rows of all processes in order of rank; differentiable.

        Args:
            values: (n, ...) tensor; n may differ between processes.
        """
        if self.count == 1:
            return values
        lengths = [int(length) for length in self._each(len(values))]
        padded = values.new_zeros((max(lengths), *values.shape[1:]))
        padded = torch.cat([values, padded[len(values) :]])
        every = _Gather.apply(padded, self.rank, self.count)
        return torch.cat([part[:length] for part, length in zip(every, lengths, strict=True)])

    def sum(self, values: Tensor) -> Tensor:
        """Return the sum over all processes; differentiable."""
        return values if self.count == 1 else _Sum.apply(values)

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes.

        DistributedDataParallel is unsuitable: with gradient caching a step has several backward
        passes, and only their sum must be communicated. The gradient of an unused parameter is 0,
        whatever the number of processes.
        """
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if self.count > 1:
                dist.all_reduce(parameter.grad)

    def _each(self, number: float) -> Tensor:
        """Return the number of every process, (processes,) float64."""
        if self.count == 1:
            return torch.tensor([number], dtype=torch.float64)
        own = torch.zeros(self.count, dtype=torch.float64)
        own[self.rank] = number
        dist.all_reduce(own)
        return own


class BatchNorm(nn.Module):
    """Batch normalisation over all processes; unlike `nn.SyncBatchNorm`, it supports CPUs."""

    def __init__(self, width: int, affine: bool = True, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps, self.across = eps, Processes()
        self.weight = nn.Parameter(torch.ones(width), requires_grad=affine)
        self.bias = nn.Parameter(torch.zeros(width), requires_grad=affine)

    def forward(self, values: Tensor) -> Tensor:
        """Map (n, D) to (n, D); it is only used in training and has no moving statistics."""
        count = max(self.across.total(len(values)), 1)
        mean = self.across.sum(values.sum(dim=0)) / count
        centred = values - mean
        variance = self.across.sum(centred.square().sum(dim=0)) / count
        return centred * torch.rsqrt(variance + self.eps) * self.weight + self.bias


class _Gather(torch.autograd.Function):
    """Maps (n, ...) to (processes, n, ...)."""

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
