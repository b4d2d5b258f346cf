"""Encoding in parts, or in two processes, results in the gradient of the whole batch."""

import numpy as np
import pytest
import torch

from ctrbench import plugins
from ctrbench.distributed import Processes
from ctrbench.pretraining.methods import ItemBatch
from ctrbench.pretraining.methods.courier import Courier
from tests.pretraining.made import SMALL, Views, pixels, step_of
from tests.processes import by_processes

METHODS = plugins.names("ctrbench.pretraining.methods")
NO_SCALING = torch.amp.GradScaler("cpu", enabled=False)
CHOSEN = np.arange(13)
COUNTS = (13, 1)  # samples of two processes: 7 and 6, or 1 and none


def gradients(name, chosen=CHOSEN, across=None, **settings):
    """Return the terms of the loss, and the gradients of all parameters."""
    changed = SMALL.model_copy(update=settings)
    step, samples, parameters = step_of(name, pixels(), changed, across)
    is_items = isinstance(samples, np.ndarray)
    batch = ItemBatch(samples[chosen]) if is_items else samples.batch(chosen)
    terms = step.gradients(batch, 3, NO_SCALING)
    return terms, [parameter.grad.numpy() for parameter in parameters]


def assert_close(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * max(abs(other).max(), 0.1))


@pytest.mark.parametrize("name", METHODS)
def test_gradient_of_parts_equals_that_of_the_whole_batch(name):
    assert_close(gradients(name, images_at_once=5), gradients(name, images_at_once=512))


def test_both_passes_use_the_same_dropout():
    """Check that dropout is equal in both passes of gradient caching."""
    step, samples, _ = step_of("simclr", Views(), SMALL.model_copy(update={"images_at_once": 4}))
    part = next(step._parts(samples[:8]))
    torch.testing.assert_close(step._encode(*part, 3), step._encode(*part, 3), rtol=0, atol=0)
    assert not torch.equal(step._encode(*part, 3), step._encode(*part, 4))


def test_methods_receive_the_batch_on_the_device_of_the_vectors(monkeypatch):
    step, samples, _ = step_of("courier", pixels())
    batch, seen = samples.batch(CHOSEN), []
    monkeypatch.setattr(Courier, "loss", lambda *given: seen.append(given[3]) or {})
    step._terms(torch.zeros(len(batch.item_id), SMALL.width, device="meta"), batch)
    tensors = [one for one in vars(seen[0]).values() if isinstance(one, torch.Tensor)]
    assert len(tensors) > 3
    assert {one.device.type for one in tensors} == {"meta"}


def test_views_differ_between_each_other_and_between_steps():
    source = pixels()
    drawn = [source.inputs(np.array([3]), (0, ("view", *at))) for at in ((1, 0), (1, 1), (2, 0))]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    beside_another = source.inputs(np.array([7, 3]), (0, ("view", 1, 0)))
    torch.testing.assert_close(beside_another[1:], drawn[0], rtol=0, atol=0)


def all_gradients(rank, found):
    for name in METHODS:
        for count in COUNTS:
            found[name, count, rank] = gradients(name, CHOSEN[:count][rank::2], Processes())


@pytest.fixture(scope="module")
def of_two():
    return by_processes(2, all_gradients)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", METHODS)
def test_two_processes_give_loss_and_gradients_of_the_joint_batch(name, count, of_two):
    for rank in range(2):
        assert_close(of_two[name, count, rank], gradients(name, CHOSEN[:count]))
