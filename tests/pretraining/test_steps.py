"""Batches encoded in parts give the gradient of the joint batch; so do two processes."""

import socket

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing

from ctrbench import plugins
from ctrbench.distributed import Processes
from ctrbench.pretrain import ItemBatch
from tests.pretraining.made import SMALL, Views, pixels, step_of

METHODS = plugins.names("ctrbench.pretrain")
NO_SCALING = torch.amp.GradScaler("cpu", enabled=False)
CHOSEN = np.arange(13)
COUNTS = (13, 1)  # samples of two processes: 7 and 6, or 1 and none


def gradients(name, chosen=CHOSEN, across=None, **settings):
    """The terms of the loss, and the gradients of all parameters."""
    changed = SMALL.model_copy(update=settings)
    step, samples, parameters = step_of(name, pixels(), changed, across)
    is_items = isinstance(samples, np.ndarray)
    batch = ItemBatch(samples[chosen]) if is_items else samples.batch(chosen)
    terms = step.gradients(batch, 3, NO_SCALING)
    return terms, [parameter.grad.numpy() for parameter in parameters]


def assert_alike(found, expected):
    assert found[0] == pytest.approx(expected[0], rel=1e-5)
    for one, other in zip(found[1], expected[1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5 * max(abs(other).max(), 0.1))


@pytest.mark.parametrize("name", METHODS)
def test_parts_give_the_gradient_of_the_whole(name):
    assert_alike(gradients(name, images_at_once=5), gradients(name, images_at_once=512))


def test_parts_are_encoded_alike_both_times():
    """Or dropout would pass gradients through other units than the loss saw."""
    step, samples, _ = step_of("simclr", Views(), SMALL.model_copy(update={"images_at_once": 4}))
    part = next(step._parts(samples[:8]))
    torch.testing.assert_close(step._encode(*part, 3), step._encode(*part, 3), rtol=0, atol=0)
    assert not torch.equal(step._encode(*part, 3), step._encode(*part, 4))


def test_the_two_views_of_an_item_differ_and_change_with_every_step():
    source = pixels()
    drawn = [source.inputs(np.array([3]), (0, ("view", *at))) for at in ((1, 0), (1, 1), (2, 0))]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
    beside_another = source.inputs(np.array([7, 3]), (0, ("view", 1, 0)))
    torch.testing.assert_close(beside_another[1:], drawn[0], rtol=0, atol=0)


def process(rank, port, names, found):
    dist.init_process_group("gloo", f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    try:
        for name in names:
            for count in COUNTS:
                chosen = CHOSEN[:count][rank::2]
                found[name, count, rank] = gradients(name, chosen, Processes())
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def by_two_processes():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = multiprocessing.Manager().dict()
    multiprocessing.spawn(process, args=(port, METHODS, found), nprocs=2)
    return dict(found)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", METHODS)
def test_two_processes_give_loss_and_gradients_of_the_joint_batch(name, count, by_two_processes):
    for rank in range(2):
        assert_alike(by_two_processes[name, count, rank], gradients(name, CHOSEN[:count]))
