"""Communication of processes that train on one global batch; also works with one process."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NoReturn, TypeVar

import torch
import torch.distributed as dist
import torch.distributed.nn  # loaded later, its defaults would hold the group past its end
import torch.nn.functional as F
from torch import Tensor, nn

from ctrbench.errors import CtrBenchError

T = TypeVar("T")

MOMENTUM = 0.1  # of moving statistics, as in torch.nn.functional.batch_norm
BUCKET_NUMBERS = 1 << 22  # of the gradients that are communicated together: 16 MB


class FirstProcessError(CtrBenchError):
    """The first process stopped; it reports the reason itself."""


class LostProcessError(CtrBenchError):
    """Another process ended, or this one was asked to; the processes cannot continue."""

    def __init__(self) -> None:
        super().__init__(
            "another process of this command ended, so this one stopped; the other's message or "
            "torchrun's report states why. Run the command again; stored results remain."
        )


@contextmanager
def process_group(local_rank: int) -> Iterator[None]:
    """Join the processes that torchrun started within the block.

    torchrun sends SIGTERM to the remaining processes when one has ended. Within the block, this
    signal raises LostProcessError, so that temporary files and locks are released.

    Args:
        local_rank: The number of this process on its machine, which selects its GPU.
    """
    timeout = timedelta(days=7)  # all wait while the first encodes every item
    if torch.cuda.is_available():
        if local_rank < torch.cuda.device_count():  # more processes than GPUs can train on CPUs
            torch.cuda.set_device(local_rank)  # what `device: cuda` then means
        dist.init_process_group("cpu:gloo,cuda:nccl", timeout=timeout)
    else:
        dist.init_process_group("gloo", timeout=timeout)
    try:
        with _stopped_by_sigterm():
            yield
    finally:
        leave()


def leave() -> None:
    """Leave the group if this process is in one; the others then raise LostProcessError."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set signal handlers
        return

    def stop(*_: object) -> NoReturn:
        raise LostProcessError

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _communication() -> Iterator[None]:
    """Turn the error of a connection into LostProcessError."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcessError from error


class Processes:
    """The processes of a run that torchrun started; otherwise a single process.

    All processes must call the methods in the same order.
    """

    def __init__(self) -> None:
        there = dist.is_available() and dist.is_initialized()
        self.count: int = dist.get_world_size() if there else 1
        self.rank: int = dist.get_rank() if there else 0

    def part(self, length: int) -> slice:
        """Return the places of this process among `length` places; parts differ by at most one."""
        return slice(*(length * rank // self.count for rank in (self.rank, self.rank + 1)))

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

    def together(self, work: Callable[[], T]) -> T:
        """Run a function that does not communicate in every process, and return its result.

        Args:
            work: The function.

        Raises:
            FirstProcessError: The function failed in the first process; raised in the others.
            LostProcessError: It failed in another process; raised where it did not.
            Exception: The original error, in the first process that has one.
        """
        made, failure = None, None
        try:
            made = work()
        except Exception as error:
            failure = error
        failed = self._each(failure is not None).nonzero()[:, 0].tolist()
        if failure is not None and failed[0] == self.rank:
            raise failure
        if failed:
            raise LostProcessError if failed[0] else FirstProcessError("the first process stopped.")
        return made  # pyright: ignore[reportReturnType]

    def from_first(self, value: T) -> T:
        """Return the value of the first process.

        Args:
            value: Any value that can be pickled; ignored in the other processes.
        """
        if self.count == 1:
            return value
        values = [value]
        with _communication():
            dist.broadcast_object_list(values, src=0, device=torch.device("cpu"))
        return values[0]

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

    def moments(self, rows: float, mean: Tensor, variance: Tensor) -> tuple[float, Tensor, Tensor]:
        """Return number, mean and variance of the rows of all processes, from those of this one.

        Args:
            rows: The number of rows of this process.
            mean: (D,) float32.
            variance: (D,) float32, divided by the number of rows.

        Source: Chan, Golub and LeVeque 1983 (The American Statistician 37, 3).
        """
        if self.count == 1:
            return rows, mean, variance
        every = _gathered(torch.cat([mean.new_tensor([rows]), mean, variance]), self.count)
        each, (means, variances) = every[:, :1], every[:, 1:].chunk(2, dim=1)
        total = each.sum()
        share = each / total.clamp(min=1)
        mean = (share * means).sum(dim=0)
        return float(total), mean, (share * (variances + (means - mean).square())).sum(dim=0)

    def add_up_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over all processes.

        DistributedDataParallel is unsuitable: with gradient caching a step has several backward
        passes, and only their sum must be communicated; and it averages over processes, whose parts
        of a batch may differ in size. The gradient of an unused parameter is 0, whatever the number
        of processes. Of a sparse gradient, only the rows are communicated.
        """
        dense = list[Tensor]()
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            if parameter.grad.is_sparse:
                parameter.grad = self._rows_of_all(parameter.grad)
            else:
                dense.append(parameter.grad)
        if self.count > 1:
            for bucket in _buckets(dense):
                _add_up(bucket)

    def differing(self, tensors: Mapping[str, Tensor]) -> list[str]:
        """Return the names of the tensors that are not equal in all processes, by checksums.

        Args:
            tensors: Tensors of 4 or 8 bytes per number, by name.
        """
        if self.count == 1:
            return []
        sums = [
            values.contiguous().flatten().view(torch.int32).sum().cpu()
            for values in tensors.values()
        ]
        every = _gathered(torch.stack(sums), self.count)
        unequal = (every != every[0]).any(dim=0).tolist()
        return [name for name, differs in zip(tensors, unequal, strict=True) if differs]

    def _rows_of_all(self, gradient: Tensor) -> Tensor:
        """Return the sum of a sparse gradient over all processes, coalesced."""
        gradient = gradient.coalesce()
        ids, values = gradient.indices()[0], gradient.values()
        as_values = ids[:, None].view(values.dtype)  # the bytes of the ids, in the same message
        every = self.gather(torch.cat([as_values, values], dim=1))
        ids = every[:, : as_values.shape[1]].contiguous().view(ids.dtype)[:, 0]
        values = every[:, as_values.shape[1] :]
        return torch.sparse_coo_tensor(
            ids[None], values, gradient.shape, check_invariants=False
        ).coalesce()

    def _each(self, number: float) -> Tensor:
        """Return the number of every process, (processes,) float64."""
        own = torch.zeros(self.count, dtype=torch.float64)
        own[self.rank] = number
        return own if self.count == 1 else _summed(own)


def batch_norm(
    values: Tensor,
    mean: Tensor,
    variance: Tensor,
    eps: float,
    training: bool,
    affine: tuple[Tensor, Tensor] | None = None,
    counted: Tensor | None = None,
) -> Tensor:
    """Normalise rows as torch's batch_norm does, in training over the rows of all processes.

    Without training, and if there is only one row, moving statistics are used.

    Args:
        values: (n, D) float32.
        mean: (D,) float32, the moving mean; updated in training.
        variance: (D,) float32, the moving variance; updated in training.
        eps: Added to the variance.
        training: Whether the statistics are those of the rows.
        affine: (D,) factors and (D,) summands of the result; None: neither.
        counted: (n,) float32, 1 for rows that enter the statistics and 0 for those that another
            process has as well; None: all enter.

    Returns:
        (n, D) float32.
    """
    if not training or Processes().count == 1:
        by_batch = training and values.shape[0] > 1
        return F.batch_norm(values, mean, variance, *(affine or ()), training=by_batch, eps=eps)
    enters = values.new_ones(len(values)) if counted is None else counted
    normalised = _JointNorm.apply(values, mean, variance, eps, enters[:, None])
    return normalised if affine is None else normalised * affine[0] + affine[1]


def _buckets(gradients: list[Tensor]) -> Iterator[list[Tensor]]:
    """Yield consecutive gradients of one type and device, together of limited size."""
    bucket, numbers = list[Tensor](), 0
    for gradient in gradients:
        other = bucket and (gradient.dtype, gradient.device) != (bucket[0].dtype, bucket[0].device)
        if bucket and (other or numbers + gradient.numel() > BUCKET_NUMBERS):
            yield bucket
            bucket, numbers = [], 0
        bucket.append(gradient)
        numbers += gradient.numel()
    if bucket:
        yield bucket


def _add_up(gradients: list[Tensor]) -> None:
    """Replace gradients by their sums over all processes, in one message."""
    if len(gradients) == 1 and gradients[0].is_contiguous():
        _summed(gradients[0])
        return
    flat = _summed(torch.cat([gradient.reshape(-1) for gradient in gradients]))
    sizes = [gradient.numel() for gradient in gradients]
    for gradient, values in zip(gradients, flat.split(sizes), strict=True):
        gradient.copy_(values.view_as(gradient))


def _summed(values: Tensor) -> Tensor:
    """Replace values by their sum over all processes, and return them."""
    with _communication():
        dist.all_reduce(values)
    return values


def _gathered(values: Tensor, count: int) -> Tensor:
    """Return the values of every process, (processes, ...); all have the same shape."""
    every = [torch.empty_like(values) for _ in range(count)]
    with _communication():
        dist.all_gather(every, values.contiguous())
    return torch.stack(every)


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
        return _gathered(values, count)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        return _summed(gradients[0].contiguous().clone())[ctx.rank], None, None


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        return _summed(values.clone())

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _summed(gradients[0].contiguous().clone())


class _JointNorm(torch.autograd.Function):
    """Normalises rows by mean and deviation of the counted rows of all processes.

    It communicates once forward and once backward, in the same way as `models._fused.DiceLayers`:
    a process without rows may use the one while another process uses the other.
    """

    @staticmethod
    def forward(
        ctx: Any, values: Tensor, mean: Tensor, variance: Tensor, eps: float, weight: Tensor
    ) -> Tensor:
        """Map (n, D), (D,), (D,), eps, (n, 1) to (n, D); updates the moving statistics in place."""
        rows = float(weight.sum())
        own_mean = (weight * values).sum(dim=0) / max(rows, 1)
        own_variance = (weight * (values - own_mean).square()).sum(dim=0) / max(rows, 1)
        rows, of_rows, variance_of_rows = Processes().moments(rows, own_mean, own_variance)
        ctx.rows = rows if rows > 1 else torch.inf
        if rows > 1:
            mean.lerp_(of_rows, MOMENTUM)
            variance.lerp_(variance_of_rows * (rows / (rows - 1)), MOMENTUM)
        else:
            of_rows, variance_of_rows = mean.clone(), variance.clone()
        inverse = torch.rsqrt(variance_of_rows + eps)
        normalised = (values - of_rows) * inverse
        ctx.save_for_backward(normalised, inverse, weight)
        return normalised

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradient of the values."""
        normalised, inverse, weight = ctx.saved_tensors
        gradient = gradients[0]
        own = torch.stack([gradient.sum(dim=0), (gradient * normalised).sum(dim=0)])
        of_z, of_z_times_z = Processes().sum(own) / ctx.rows
        through = weight * (of_z + normalised * of_z_times_z)
        return inverse * (gradient - through), None, None, None, None
