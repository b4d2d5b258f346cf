"""Optimisers against those of torch and a plain loop."""

import numpy as np
import pytest
import torch

from ctrbench import optimizers
from ctrbench.loops import load_loops
from ctrbench.optimizers import Adam, LazyAdam, RowwiseAdagrad

STEPS = 6


def batches():
    """Return ids, some repeated, and gradients of their rows."""
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        yield torch.from_numpy(rng.integers(0, 12, 9)), torch.from_numpy(rng.normal(size=(9, 4)))


def trained(kind, table, **settings):
    optimizer = kind([table], **settings)
    for ids, gradient in batches():
        table.grad = None
        found = torch.nn.functional.embedding(ids, table, sparse=True)
        (found * gradient).sum().backward()
        optimizer.step()
    return table.detach()


def table():
    start = np.random.default_rng(1).normal(size=(20, 4))
    return torch.nn.Parameter(torch.from_numpy(start))


def test_lazy_adam_equals_torch_s_sparse_adam():
    expected = trained(torch.optim.SparseAdam, table(), lr=0.1)
    found = trained(LazyAdam, table(), lr=0.1)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)  # epsilon is added elsewhere


def test_lazy_adam_equals_adam_where_every_row_has_a_gradient():
    lazy, dense = table(), table()
    pair = LazyAdam([lazy], lr=0.1), torch.optim.Adam([dense], lr=0.1)
    for _, gradient in batches():
        ids, wide = torch.arange(20), gradient.sum() * torch.cos(torch.arange(80.0)).reshape(20, 4)
        for one, sparse, optimizer in zip((lazy, dense), (True, False), pair, strict=True):
            one.grad = None
            (torch.nn.functional.embedding(ids, one, sparse=sparse) * wide).sum().backward()
            optimizer.step()
    torch.testing.assert_close(lazy, dense)


@pytest.mark.parametrize("loops", [True, False])
def test_adam_equals_that_of_torch_also_if_continued(loops, monkeypatch):
    if not loops:
        monkeypatch.setattr("ctrbench.optimizers.load_loops", lambda: None)

    def start():
        rng = np.random.default_rng(2)
        shapes = [(), (3,), (0, 4), (70, 11)]
        return [torch.nn.Parameter(torch.from_numpy(rng.normal(size=shape))) for shape in shapes]

    exact = start()
    found = [torch.nn.Parameter(one.detach().float()) for one in start()]
    expected, compiled, rng = torch.optim.Adam(exact, lr=0.1), None, np.random.default_rng(3)
    for step in range(9):
        if step % 4 == 0:  # a new optimiser continues from the saved state
            saved = compiled and compiled.state_dict()
            compiled = Adam(found, lr=0.1)
            if saved:
                compiled.load_state_dict(saved)
        for one, other in zip(found, exact, strict=True):
            sizes = 10.0 ** rng.integers(-25, 3, other.shape) * rng.integers(0, 2, other.shape)
            one.grad = torch.as_tensor(rng.normal(size=other.shape) * sizes).float()
            other.grad = one.grad.double()
        expected.step()
        compiled.step()
    for one, other in zip(found, exact, strict=True):
        torch.testing.assert_close(one.detach().double(), other.detach(), rtol=1e-5, atol=1e-5)


def test_rowwise_adagrad_equals_a_loop():
    expected, total = table().detach().numpy().copy(), np.zeros(20)
    for ids, gradient in batches():
        dense = np.zeros((20, 4))
        np.add.at(dense, ids.numpy(), gradient.numpy())
        for row in np.unique(ids.numpy()):
            total[row] += (dense[row] ** 2).mean()
            expected[row] -= 0.1 * dense[row] / (np.sqrt(total[row]) + 1e-8)
    found = trained(RowwiseAdagrad, table(), lr=0.1)
    np.testing.assert_allclose(found.numpy(), expected)


@pytest.mark.skipif(load_loops() is None, reason="the compiled loops were not built: no C compiler")
@pytest.mark.parametrize("kind", [LazyAdam, RowwiseAdagrad])
def test_loops_equal_torch(kind, monkeypatch):
    """Check single precision, for which there are loops, against double precision."""
    exact = torch.nn.Parameter(torch.from_numpy(np.random.default_rng(4).normal(size=(900, 5))))
    found = torch.nn.Parameter(exact.detach().float())
    called, original = [], optimizers.run_loop
    record = lambda name, *given: called.append(name) or original(name, *given)  # noqa: E731
    monkeypatch.setattr(optimizers, "run_loop", record)
    pairs = [(kind([table], lr=0.1), table) for table in (found, exact)]
    for step in range(STEPS):
        ids = torch.from_numpy(
            np.random.default_rng(step).integers(0, 900, 300 * step + 1) ** 2 % 900
        )
        for optimizer, table in pairs:
            table.grad = None
            factor = torch.linspace(-1, 2, 5 * len(ids), dtype=table.dtype).reshape(-1, 5)
            (torch.nn.functional.embedding(ids, table, sparse=True) * factor).sum().backward()
            optimizer.step()
    assert set(called) == ({"merge_rows", "lazy_adam"} if kind is LazyAdam else {"merge_rows"})
    torch.testing.assert_close(found.detach().double(), exact.detach(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [LazyAdam, RowwiseAdagrad])
def test_rows_without_a_gradient_do_not_change(kind):
    start, found = table().detach(), trained(kind, table(), lr=0.1)
    seen = torch.unique(torch.cat([ids for ids, _ in batches()]))
    moved = (found != start).any(dim=1)
    assert moved[seen].all()
    assert moved.sum() == len(seen) < 20
