"""Several processes train one model as a single process does, up to rounding."""

from contextlib import contextmanager
from itertools import pairwise

import numpy as np
import pytest
import torch

from ctrbench import plugins, training
from ctrbench.batches.packing import Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.distributed import Processes
from ctrbench.injection import load_mode
from ctrbench.models import backbone_names, load_backbone
from ctrbench.settings import ModelSettings, TrainingSettings
from ctrbench.training import fit, predict
from tests.conftest import make_impressions
from tests.processes import by_processes
from tests.test_contracts import images, make

TOLERANCE = 1e-6  # of predicted probabilities: sums of several processes are rounded differently
LOOSE = 5e-5  # where Adam amplifies the rounding of gradients near 0, also between two machines
AMPLIFIED = ("sim_attention", "a last batch of 2")
MODEL = {
    **{"history_length": 10, "embedding_size": 4, "attention": (8,), "top": (8, 4)},
    **{"transformer_width": 8, "embedding_std": 1.0, "attention_weights": "softmax"},
}
TRAINING = {"batch_size": 200, "id_dropout": 0.1, "learning_rate": 0.01}
NORM = {"batch_norm": True, "gate": True}
BATCH_SIZES = {"batches of 149": 149, "a last batch of 2": 299}  # of 600 impressions
CASES = {  # mode, settings of the model, settings of the training
    f"{mode} {backbone}": (make(mode), {"backbone": backbone}, {})
    for mode in plugins.names("ctrbench.injection")
    for backbone in backbone_names()
} | {
    "statistics of items": (load_mode("vector", NORM), {}, {}),
    "combination": (load_mode("sim_tier+cluster_id", {"cluster_id.codebook_size": 7}), {}, {}),
    "uniform": (make("vector"), {"attention_weights": "uniform", "user_id": True}, {}),
    "prelu": (make("sim_score"), {"activation": "prelu"}, {}),
    "lazy_adam": (make("none"), {}, {"table_optimizer": "lazy_adam", "mba_l2": 1.0}),
    "rowwise_adagrad": (make("none"), {}, {"table_optimizer": "rowwise_adagrad"}),
    "averaged": (make("none"), {}, {"weight_averaging": 0.5, "epochs": 2}),
    "adam with a penalty": (make("none"), {}, {"mba_l2": 1.0}),
    **{
        f"{sizes}, {name}": (load_mode("vector", NORM), {"backbone": name}, {"batch_size": size})
        for name in backbone_names()
        for sizes, size in BATCH_SIZES.items()
    },
}
OF_THREE = [case for case in CASES if case.startswith(tuple(BATCH_SIZES))]


@pytest.fixture(autouse=True)
def one_thread():
    """Compute with one thread, as every process of a group does."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@contextmanager
def small_tables():
    """Let tables of 20 rows be large, and predict in batches of 100 rows."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ctrbench.settings.SMALL_TABLE", 20)
        patch.setattr(training, "SMALL_TABLE", 20)
        patch.setattr(training, "PREDICT_ROWS", 100)
        yield


def made(case, slots):
    """Return an untrained model, its packer and the settings of its training."""
    mode, of_model, of_training = CASES[case]
    settings = ModelSettings(**MODEL | of_model)
    prepared = mode.prepare(images(slots), slots, 0)
    packer = Packer(slots, settings, prepared.item, prepared.slot)
    probe = packer.pack(np.arange(400, 408), None)
    model = load_backbone(settings.backbone)(packer.sizes, settings, mode, prepared, probe, 0)
    return model, packer, TrainingSettings(**TRAINING | of_training)


def trained(case, slots):
    """Return predictions of the test period, the losses of the curve, and all weights."""
    with small_tables():
        model, packer, settings = made(case, slots)
        curve = fit(model, packer, settings, 0, lambda share: None)
        p_click = predict(model, packer, "test", lambda share: None, Processes())
    weights = {name: value.numpy() for name, value in model.state_dict().items()}
    return p_click, np.array([point.loss for point in curve]), weights


def train_all(rank, found, cases):
    torch.set_num_threads(1)
    slots = HistorySlots(make_impressions(), 10)
    for case in cases:
        found[case, rank] = trained(case, slots)


@pytest.fixture(scope="module")
def of_two():
    return by_processes(2, train_all, tuple(CASES))


@pytest.fixture(scope="module")
def of_three():
    return by_processes(3, train_all, OF_THREE)


def assert_as_one_process(found, case, count, slots):
    p_click, curve, weights = found[case, 0]
    expected, expected_curve, _ = trained(case, slots)
    assert np.ptp(expected) > 0.05  # the model is not trivial
    tolerance = LOOSE if case.startswith(AMPLIFIED) else TOLERANCE
    np.testing.assert_allclose(p_click, expected, atol=tolerance, rtol=0)
    np.testing.assert_allclose(curve, expected_curve, atol=tolerance, rtol=0)
    for rank in range(1, count):
        np.testing.assert_array_equal(found[case, rank][0], p_click)
        for name, values in found[case, rank][2].items():
            np.testing.assert_array_equal(values, weights[name], err_msg=name)


@pytest.mark.parametrize("case", CASES)
def test_two_processes_equal_one(case, slots, of_two):
    assert_as_one_process(of_two, case, 2, slots)


@pytest.mark.parametrize("case", OF_THREE)
def test_three_processes_equal_one_on_uneven_parts(case, slots, of_three):
    assert_as_one_process(of_three, case, 3, slots)


def test_parts_of_a_batch_are_the_batch(slots):
    """Every part has its own rows and slots; each item counts once."""
    _, packer, _ = made("combination", slots)
    rows = np.arange(300, 407)
    whole = packer.pack(rows, (0.5, np.random.default_rng(1)))
    edges = [0, 36, 36, 107]
    parts = [
        packer.pack(rows, (0.5, np.random.default_rng(1)), slice(*edge)) for edge in pairwise(edges)
    ]
    for name in ("click", "weight", "row_numbers"):
        together = torch.cat([getattr(part, name) for part in parts])
        assert torch.equal(together, getattr(whole, name))
    for name in ("target", "history"):
        of_parts = torch.cat([part.item_id[getattr(part, name)] for part in parts])
        assert torch.equal(of_parts, whole.item_id[getattr(whole, name)])
    for name, values in whole.image_slot.items():
        assert torch.equal(torch.cat([part.image_slot[name] for part in parts]), values)
    for name, values in whole.image_item.items():
        of_parts = torch.cat([part.image_item[name][part.target] for part in parts])
        assert torch.equal(of_parts, values[whole.target])
    tags = [part.item_codes["tags"] for part in parts]
    for part, bag in zip(parts, tags, strict=True):
        assert len(bag.codes) == len(bag.row)
        assert len(bag.row) == 0 or bag.row.max() < len(part.item_id)
    assert sum(float(part.counted.sum()) for part in parts) == len(whole.item_id)
    assert len(parts[1].click) == len(parts[1].item_id) == 0
