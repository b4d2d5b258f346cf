"""Sparse optimisers against torch.optim.SparseAdam and a plain loop."""

import numpy as np
import pytest
import torch

from ctrbench.optimizers import LazyAdam, RowwiseAdagrad

STEPS = 6


def batches():
    """Return ids, some repeated, and gradients of their rows."""
    rng = np.random.default_rng(0)
    for _ in range(STEPS):
        yield torch.from_numpy(rng.integers(0, 12, 9)), torch.from_numpy(rng.normal(size=(9, 4)))


def trained(kind, table, **settings):
    optimizer = kind([table], **settings)
    for ids, gradient in batches():
        optimizer.zero_grad()
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
    optimizers = LazyAdam([lazy], lr=0.1), torch.optim.Adam([dense], lr=0.1)
    for _, gradient in batches():
        ids, wide = torch.arange(20), gradient.sum() * torch.cos(torch.arange(80.0)).reshape(20, 4)
        for one, sparse, optimizer in zip((lazy, dense), (True, False), optimizers, strict=True):
            optimizer.zero_grad()
            (torch.nn.functional.embedding(ids, one, sparse=sparse) * wide).sum().backward()
            optimizer.step()
    torch.testing.assert_close(lazy, dense)


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


@pytest.mark.parametrize("kind", [LazyAdam, RowwiseAdagrad])
def test_rows_without_a_gradient_do_not_change(kind):
    start, found = table().detach(), trained(kind, table())
    seen = torch.unique(torch.cat([ids for ids, _ in batches()]))
    moved = (found != start).any(dim=1)
    assert moved[seen].all()
    assert moved.sum() == len(seen) < 20
