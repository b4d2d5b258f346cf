"""Compiled loops against torch in double precision."""

import pytest
import torch
import torch.nn.functional as F

from ctrbench import loops
from ctrbench.loops import functions

pytestmark = pytest.mark.skipif(
    loops.load_loops() is None, reason="the compiled loops were not built: no C compiler"
)


@pytest.mark.parametrize(
    "unfit",
    [
        torch.zeros(4, 2, dtype=torch.float64),
        torch.zeros(2, 4).t(),
        torch.zeros(4, 2, device="meta"),
        torch.zeros(4, 2, dtype=torch.int32),
    ],
)
def test_unsuitable_tensors_are_rejected(unfit):
    vector = torch.zeros(2)
    with pytest.raises(TypeError, match=r"moments: .*"):
        loops.run_loop("moments", 4, 2, unfit, torch.zeros(2, 2), vector, vector)


@pytest.mark.parametrize("rows", [1, 5, 12, 96])
@pytest.mark.parametrize("depth", [0, 1, 33, 600])
@pytest.mark.parametrize("columns", [1, 7, 8, 16, 45])
@pytest.mark.parametrize("transposed", [False, True])
def test_matrix_products(rows, depth, columns, transposed):
    left, right = torch.randn(rows, depth), torch.randn(depth, columns)
    found, steps = torch.full((rows, columns), torch.nan), (1, rows) if transposed else (depth, 1)
    given = left.t().contiguous() if transposed else left
    for add in (0, 1):
        loops.run_loop("multiply", rows, depth, columns, add, given, *steps, right, found)
    expected = 2 * (left.double() @ right.double())
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("bias", [None, torch.randn(7)])
def test_linear_layers_and_lookups(bias):
    values, weight = torch.randn(20, 33), torch.randn(7, 33)
    index, factor = torch.tensor([3, 0, 3, 19, 7, 3]), torch.randn(6, 7)

    def output_and_gradients(take, product, change):
        given = [None if one is None else change(one).requires_grad_() for one in (bias, weight)]
        table = change(values).requires_grad_()
        out = product(take(table, index), given[1], given[0])
        (out * change(factor)).sum().backward()
        return [out, *(one.grad for one in (table, *given) if one is not None)]

    found = output_and_gradients(functions.take, functions.product, torch.clone)
    expected = output_and_gradients(torch.Tensor.__getitem__, F.linear, torch.Tensor.double)
    assert found[0].grad_fn.name() == "_ProductBackward"
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-5, atol=1e-5)
