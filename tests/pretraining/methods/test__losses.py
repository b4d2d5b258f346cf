"""Contrastive losses against hand calculation and pytorch-metric-learning."""

import math

import pytest
import torch
from pytorch_metric_learning.losses import NTXentLoss

from ctrbench.distributed import Processes
from ctrbench.pretraining.methods._losses import cosines, info_nce, nt_xent

ALONE = Processes()


def test_info_nce_equals_a_hand_calculation():
    queries = torch.eye(3)
    candidates = torch.tensor([[1.0, 0.0, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 2.0]])
    item, own = torch.tensor([1, 2, 3]), torch.arange(3)
    rows = [[1, 0.6, 0], [0, 0.8, 0], [0, 0, 1]]  # cosines: the last candidate has length two
    by_hand = [
        -math.log(math.exp(row[i] / 0.5) / sum(math.exp(value / 0.5) for value in row))
        for i, row in enumerate(rows)
    ]
    found = info_nce(queries, candidates, item, own, 0.5, ALONE)
    assert float(found) == pytest.approx(sum(by_hand) / 3, abs=1e-6)


def test_other_candidates_of_the_same_item_are_excluded():
    torch.manual_seed(0)
    queries, candidates = torch.randn(2, 5), torch.randn(4, 5)
    item, own = torch.tensor([7, 8, 7, 9]), torch.tensor([0, 1])
    found = info_nce(queries, candidates, item, own, 0.1, ALONE)
    without = [
        info_nce(queries[:1], candidates[[0, 1, 3]], item[[0, 1, 3]], own[:1], 0.1, ALONE),
        info_nce(queries[1:], candidates, item, own[1:], 0.1, ALONE),
    ]
    torch.testing.assert_close(found, torch.stack(without).mean())


def test_loss_without_queries_is_zero():
    candidates = torch.randn(3, 4)
    found = info_nce(
        torch.empty(0, 4), candidates, torch.arange(3), torch.empty(0).long(), 0.1, ALONE
    )
    assert float(found) == 0


@pytest.mark.parametrize("temperature", [0.05, 0.5])
def test_nt_xent_equals_pytorch_metric_learning(temperature):
    torch.manual_seed(1)
    one, two = torch.randn(9, 6), torch.randn(9, 6)
    labels = torch.arange(9).repeat(2)
    expected = NTXentLoss(temperature)(torch.cat([one, two]), labels)
    torch.testing.assert_close(nt_xent(one, two, temperature, ALONE), expected)


@pytest.mark.parametrize("exponent", [-110, -60, 60, 110])
def test_losses_do_not_depend_on_the_length_of_vectors(exponent):
    torch.manual_seed(0)
    one, two = torch.randn(4, 5), torch.randn(4, 5)
    item = torch.arange(4)
    for loss in (
        lambda a, b: nt_xent(a, b, 0.5, ALONE),
        lambda a, b: info_nce(a, b, item, item, 0.5, ALONE),
        cosines,
    ):
        found = loss(one * 2.0**exponent, two * 2.0**exponent)
        assert torch.equal(found, loss(one, two))


def test_float16_vectors_whose_norm_overflows():
    one = torch.full((2, 4), 60000.0, dtype=torch.float16)
    torch.testing.assert_close(cosines(one, one), torch.ones(2))
