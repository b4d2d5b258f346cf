"""Settings that are invalid or have no effect are errors before training."""

import pytest
import torch

from ctrbench.errors import ConfigError
from ctrbench.pretraining.configuring import variants


def made(method="courier", *changes, pixels=False):
    return variants(method, "made", None, list(changes), pixels)


def test_grid_appends_varied_settings_to_the_version_name():
    found = made("courier", "training.width=[8, 16]", "method.temperature=0.1")
    assert [one.version for one in found] == ["made-width8", "made-width16"]
    assert [one.training.width for one in found] == [8, 16]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.width=6", r"width: must be a multiple of 4 \(given: 6\)"),
        ("training.batch_size=1", r"batch_size: must be at least 2 \(given: 1\)"),
        ("training.width=1000000", "width: must be at most 16384"),
        ("training.batch_size=1000000000000", "batch_size: must be at most 1048576"),
        ("training.epochs=true", r"epochs: must be a whole number \(given: True\)"),
        ("training.learning_rate=1e300", "learning_rate: must be at most 100"),
        ("training.epochs=[1, 1]", r"\[1, 1\]"),
        (
            "training.epochs=[" + ",".join(map(str, range(1, 102))) + "]",
            "101 versions, .* 100",
        ),
        ("training.history=100000", "history: must be at most 1000"),
        ("training.shown=1001", "shown: must be at most 1000"),
        ("training.device=nonsense", "'nonsense'"),
        ("training.device=meta", "'meta'"),
        ("training.device=cuda:99", r"'cuda:99'.* torch finds \d+ cuda devices"),
    ],
)
def test_invalid_settings_are_errors(change, message):
    with pytest.raises(ConfigError, match=message):
        made("courier", change)


def test_courier_requires_a_term():
    off = [f"method.{term}=0" for term in ("contrast", "prediction", "sequence")]
    assert len(made("courier", *off[:2])) == 1
    with pytest.raises(ConfigError, match=r"courier: .*contrast, prediction and sequence"):
        made("courier", *off)


@pytest.mark.parametrize(
    "change", ["encoder.weights=/nope", "encoder.name=swin_t", "encoder.channels=[8, 16]"]
)
def test_encoder_settings_with_a_version_are_an_error(change):
    with pytest.raises(ConfigError, match=r"encoder \(\w+\) .*--from-version"):
        made("courier", change)


@pytest.mark.parametrize("change", ["random_mask=true", "shown=3", "history=[3, 4]"])
def test_line_settings_of_an_item_method_are_an_error(change):
    with pytest.raises(ConfigError, match=r"training \(\w+\) .*clip"):
        made("clip", f"training.{change}")
    assert made("supervised", f"training.{change}")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (["encoder.channels=[8, 12]"], "channels: must be a multiple of 8"),
        (["encoder.channels=[8, 16]", "encoder.weights=EIGHT"], "eight.pt do not fit Sequential"),
        (["method.temperature=[0.1, -1]"], "temperature: must be above 0"),
        (["training.device=[cpu, nonsense]"], "'nonsense'"),
    ],
)
def test_every_point_of_a_grid_is_built_before_training(changes, message, tmp_path):
    (eight,) = made("simclr", "encoder.channels=8", "training.width=8", pixels=True)
    path = tmp_path / "eight.pt"
    torch.save(eight.encoder.build(8).state_dict(), path)
    with pytest.raises(ConfigError, match=message):
        made("simclr", *(each.replace("EIGHT", str(path)) for each in changes), pixels=True)


def test_invalid_version_name_of_a_grid_is_an_error():
    with pytest.raises(ConfigError, match="'made-text_modela/b'"):
        made("clip", "method.text_model=[null, a/b]")
