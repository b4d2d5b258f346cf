"""The training loop: learning, resuming, divergence."""

import math

import numpy as np
import pytest
import torch

from ctrbench import plugins
from ctrbench.errors import DivergedError, StoreError
from ctrbench.pretraining.fitting import CHECKPOINT, total_steps
from ctrbench.pretraining.methods import configured
from tests.pretraining.made import SMALL, Views, samples_of, trained

LONGER = SMALL.model_copy(update={"epochs": 12})
OFTEN = SMALL.model_copy(update={"epochs": 4, "checkpoint_s": 1e-9})


class StoppedError(Exception):
    pass


def stopping(step):
    def progress(done, total, loss):
        if done == step:
            raise StoppedError

    return progress


def weights(found):
    return [*found.network.state_dict().values(), *found.layers.state_dict().values()]


@pytest.mark.parametrize("name", plugins.names("ctrbench.pretraining.methods"))
def test_loss_decreases(name, tmp_path):
    curve = trained(tmp_path, name, settings=LONGER).curve
    assert len(curve) == 20
    assert curve[-1]["loss"] < curve[0]["loss"]
    assert curve[-1]["loss"] == pytest.approx(
        sum(value for key, value in curve[-1].items() if key not in ("step", "loss"))
    )


@pytest.mark.parametrize("name", plugins.names("ctrbench.pretraining.methods"))
def test_last_batch_with_one_sample(name, tmp_path):
    samples = len(samples_of(configured(name, {})))
    settings = SMALL.model_copy(update={"batch_size": samples - 1, "epochs": 6})
    curve = trained(tmp_path, name, settings=settings).curve
    assert all(math.isfinite(point["loss"]) for point in curve)


@pytest.mark.parametrize("name", ["courier", "simclr"])
@pytest.mark.parametrize("step", [2, 7, 8])
def test_resumed_training_equals_an_uninterrupted_one(name, step, tmp_path):
    whole = trained(tmp_path / "whole", name, settings=OFTEN)
    with pytest.raises(StoppedError):
        trained(tmp_path / "cut", name, settings=OFTEN, progress=stopping(step))
    seen = []
    again = trained(
        tmp_path / "cut", name, settings=OFTEN, progress=lambda done, *_: seen.append(done)
    )
    for one, other in zip(weights(again), weights(whole), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert again.curve == whole.curve
    assert seen[0] == step  # every step has a checkpoint, also between two points of the curve


def test_random_masks_differ_between_epochs(tmp_path):
    settings = SMALL.model_copy(update={"random_mask": True})
    one, two = (trained(tmp_path / str(i), settings=settings) for i in range(2))
    for first, second in zip(weights(one), weights(two), strict=True):
        torch.testing.assert_close(first, second, rtol=0, atol=0)
    plain = trained(tmp_path / "plain")
    assert not torch.equal(weights(one)[0], weights(plain)[0])


class BrokenInputs(Views):
    """Returns NaN inputs from the sixth batch."""

    calls = 0

    def inputs(self, item_id, view=None):
        self.calls += 1
        return super().inputs(item_id, view) * (1 if self.calls < 6 else float("nan"))


class BrokenGradients(Views):
    """Returns NaN gradients at some steps, with a finite loss."""

    def __init__(self, *steps):
        super().__init__()
        self.steps, self.calls = steps, 0

    def network(self, width):
        network = super().network(width)
        network.register_forward_hook(self.broken)
        return network

    def broken(self, network, inputs, made):
        self.calls += 1
        if self.calls in self.steps:
            made.register_hook(lambda gradient: gradient * float("nan"))


@pytest.mark.parametrize(
    ("source", "what"),
    [(BrokenInputs(), "the loss became nan"), (BrokenGradients(6), "gradient became")],
)
def test_divergence_stops_training_and_keeps_the_checkpoint(source, what, tmp_path):
    with pytest.raises(DivergedError, match=rf"{what}.* at step 6 of .*learning_rate") as caught:
        trained(tmp_path, settings=OFTEN, source=source)
    assert f"step 5 remains in {tmp_path}" in str(caught.value)
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    assert kept["done"] == 5
    assert all(torch.isfinite(weight).all() for weight in kept["network"].values())


def test_non_finite_weights_are_not_stored(tmp_path):
    settings = OFTEN.model_copy(update={"learning_rate": 3e37})
    message = r"the weights became .* at step 1 of \d+; .*training\.learning_rate below 3e\+37"
    with pytest.raises(DivergedError, match=message):
        trained(tmp_path, settings=settings)
    assert not (tmp_path / CHECKPOINT).exists()


def test_divergence_at_the_first_step_does_not_suggest_the_learning_rate(tmp_path):
    with pytest.raises(DivergedError, match=r"at step 1 of \d+; ") as caught:
        trained(tmp_path, settings=OFTEN, temperature=1e-39)
    assert "No checkpoint" in str(caught.value)
    assert "learning_rate" not in str(caught.value)


def test_float16_step_that_overflows_is_skipped(tmp_path):
    settings = OFTEN.model_copy(update={"precision": "float16", "epochs": 2})
    found = trained(tmp_path, settings=settings, source=BrokenGradients(3))
    assert all(torch.isfinite(weight).all() for weight in weights(found))


def test_overflow_of_every_float16_step_stops_training(tmp_path):
    settings = SMALL.model_copy(update={"precision": "float16", "epochs": 12})
    with pytest.raises(DivergedError, match="float16 gradient"):
        trained(tmp_path, settings=settings, source=BrokenGradients(*range(100)))


def test_checkpoint_with_non_finite_weights_is_an_error(tmp_path):
    trained(tmp_path)
    kept = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    kept["network"]["weight"] *= float("nan")
    torch.save(kept, tmp_path / CHECKPOINT)
    with pytest.raises(StoreError, match=CHECKPOINT):
        trained(tmp_path)


def flipped(content, at):
    place = int(at * len(content))
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


def test_damaged_checkpoint_is_an_error_or_changes_nothing(tmp_path):
    whole = trained(tmp_path)
    content = (tmp_path / CHECKPOINT).read_bytes()
    cases = [b"nonsense", b"", *(content[: int(at * len(content))] for at in (0.1, 0.5, 0.99))]
    named = []
    for damaged in (*cases, *(flipped(content, at) for at in np.linspace(0, 0.999, 20))):
        (tmp_path / CHECKPOINT).write_bytes(damaged)
        try:
            again = trained(tmp_path)
        except StoreError as error:
            named.append(str(error))
        else:  # the bit is in the padding between the arrays
            assert damaged not in cases
            for one, other in zip(weights(again), weights(whole), strict=True):
                torch.testing.assert_close(one, other, rtol=0, atol=0)
    assert len(named) >= len(cases) + 10
    assert all(str(tmp_path / CHECKPOINT) in message for message in named)


def test_total_steps():
    assert total_steps(33, SMALL) == 2 * 3
