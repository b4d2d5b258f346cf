"""The exported graph: requests give the logits of the benchmark, in PyTorch and in onnxruntime."""

import numpy as np
import pytest
import torch
from torch import nn

from ctrbench.batches.packing import Packer
from ctrbench.errors import ConfigError, ContractError, DivergedError
from ctrbench.injection import Injected, Injection, Prepared, load_mode
from ctrbench.models import load_backbone
from ctrbench.serving import graph
from ctrbench.serving.exporting import _require_onnx
from ctrbench.serving.features import HISTORY, PADDING, TARGET, Vectors, comparisons_of, features_of
from ctrbench.serving.golden import random_requests, requests_of
from ctrbench.serving.graph import OUTPUTS, Served, check_opset, write_onnx
from ctrbench.serving.requests import Lookups
from tests.test_contracts import BACKBONES, MODES, ROWS, images, make

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'ctrbench[onnx]'")

TEST = np.arange(1000, 1037)
COMBINED = load_mode(
    "sim_tier+cluster_id",
    {"sim_tier.center": True, "sim_tier.counts": "log_embedding", "cluster_id.codebook_size": 7},
)


def served_by(mode, slots, backbone="din"):
    """Return a model with drawn weights and moving statistics, and what a server looks up."""
    settings = BACKBONES[backbone]
    if mode.problems(100, 6, settings):
        settings = settings.model_copy(update={"attention_weights": "softmax"})
    drawn = images(slots)
    prepared = mode.prepare(drawn, slots, 0)
    packer = Packer(slots, settings, prepared.item, prepared.slot)
    build = load_backbone(settings.backbone)
    model = build(packer.sizes, settings, mode, prepared, packer.pack(ROWS[:8], None), 0)
    chance = torch.Generator().manual_seed(0)
    with torch.no_grad():
        model(packer.pack(ROWS, None))  # moves the statistics of Dice
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=chance))
    compared = comparisons_of(mode, "image")
    vectors = {one.key: Vectors(drawn.unit(one.centered), drawn.has_vector) for one in compared}
    features = features_of(packer, prepared, compared, vectors)
    return Served(model, features), Lookups(packer, prepared, vectors, features)


def expected(served, lookups, rows):
    with torch.no_grad():
        return served.model(lookups.packer.pack(rows, None)).numpy()


def differences(served, lookups, path):
    """Yield the largest difference for each request, relative to numbers above 1."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    assert [one.name for one in session.get_inputs()] == list(served.features.names)
    golden = [request for _, request in requests_of(lookups, TEST).values()]
    for request in [*golden, *random_requests(lookups, 0)]:
        found = session.run(list(OUTPUTS), {name: request[name] for name in served.features.names})
        for name, values in zip(OUTPUTS, found, strict=True):
            assert values.shape == (len(request[TARGET]),)
            expected_values = served.run(request)[name]
            yield float(
                (np.abs(values - expected_values) / np.maximum(1, np.abs(expected_values))).max()
            )


CASES = [
    *(pytest.param("din", make(name), id=f"din-{name}") for name in ["none", *MODES]),
    pytest.param("din", COMBINED, id="din-combined"),
    pytest.param("bst", make("sim_attention"), id="bst-sim_attention"),
    pytest.param("bst", COMBINED, id="bst-combined"),
    pytest.param("uniform", make("sim_score"), id="uniform-sim_score"),
    *(
        pytest.param(
            backbone,
            load_mode("vector", {"gate": True, "batch_norm": True, "scale": "standard"}),
            id=f"{backbone}-vector-all-settings",
        )
        for backbone in ("din", "bst")
    ),
]


@pytest.mark.parametrize(("backbone", "mode"), CASES)
def test_requests_give_the_logits_of_packed_batches(backbone, mode, slots):
    served, lookups = served_by(mode, slots, backbone)
    found = served.run(lookups.request(TEST))
    logit = expected(served, lookups, TEST)
    np.testing.assert_allclose(found["logit"], logit, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found["p_click"], 1 / (1 + np.exp(-logit)), rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(("backbone", "mode"), CASES)
def test_onnxruntime_gives_the_outputs_of_torch(backbone, mode, slots, tmp_path):
    served, lookups = served_by(mode, slots, backbone)
    path = tmp_path / "model.onnx"
    write_onnx(served, lookups.request(TEST), path, 18)
    assert max(differences(served, lookups, path)) <= 1e-5


def test_diverged_weights_are_named_as_the_cause(slots, tmp_path):
    served, lookups = served_by(make("none"), slots)
    requests = [request for _, request in requests_of(lookups, TEST).values()]
    path = tmp_path / "model.onnx"
    write_onnx(served, requests[0], path, 18)
    assert _require_onnx(path, served, requests) <= 1e-5
    with torch.no_grad():
        served.model.id_embedding.weight.fill_(float("inf"))
    with pytest.raises(DivergedError, match="infinite or undefined outputs on the golden requests"):
        _require_onnx(path, served, requests)


def test_padding_and_order_of_items_do_not_matter(slots):
    served, lookups = served_by(COMBINED, slots, "bst")
    request = lookups.request(TEST)
    logit = served.run(request)["logit"]
    left = request | {HISTORY: request[HISTORY].copy()}
    for row in left[HISTORY]:
        row[:] = np.concatenate([row[row < 0], row[row >= 0]])
    np.testing.assert_allclose(served.run(left)["logit"], logit, atol=1e-6)
    order = np.random.default_rng(0).permutation(len(request["item_id"]))
    place = np.argsort(order)
    moved = {
        one.name: request[one.name][order] if one.of == "item" else request[one.name]
        for one in served.features.inputs
    }
    moved[TARGET] = place[request[TARGET]]
    moved[HISTORY] = np.where(request[HISTORY] < 0, PADDING, place[request[HISTORY]])
    np.testing.assert_allclose(served.run(moved)["logit"], logit, atol=1e-5)


def test_only_the_latest_clicks_are_read(slots):
    served, lookups = served_by(make("sim_score"), slots, "bst")
    request = lookups.request(TEST[:1])
    clicks = np.resize(request[HISTORY][request[HISTORY] >= 0], 25)[None]
    found = served.run(request | {HISTORY: clicks})
    latest = served.run(request | {HISTORY: clicks[:, -slots.history_length :]})
    assert found["logit"] == latest["logit"]


class Branching(Injection):
    """A mode whose output depends on a value, which a graph cannot express."""

    def prepare(self, images, slots, seed):
        return Prepared(item={"mean": images.unit().mean(axis=1, keepdims=True)})

    def layers(self, prepared):
        return {"weight": nn.Linear(1, 1)}

    def inject(self, layers, batch):
        mean = batch.image_item["mean"]
        return Injected(item=layers["weight"](mean if float(mean.sum()) > 0 else -mean))


def test_a_mode_that_branches_on_values_is_refused(slots, tmp_path):
    served, lookups = served_by(Branching(), slots)
    with pytest.raises(ContractError) as caught:
        write_onnx(served, lookups.request(TEST), tmp_path / "model.onnx", 18)
    assert str(caught.value).startswith("Branching with DIN cannot be written as ONNX: ")
    assert str(caught.value).endswith(
        "Sizes must come from shapes, never from values; see docs/add_mode.md."
    )


def test_opsets_that_onnx_cannot_write_are_refused():
    import onnx

    newest = onnx.defs.onnx_opset_version()
    check_opset(newest)
    for opset in (17, newest + 1, "18"):
        with pytest.raises(ConfigError) as caught:
            check_opset(opset)  # pyright: ignore
        assert str(caught.value) == (
            f"opset {opset!r} cannot be written: the installed onnx {onnx.__version__} and torch "
            f"write 18 to {newest}. Give one of these, or install another onnx."
        )


def test_missing_libraries_are_named_with_their_command(monkeypatch):
    monkeypatch.setattr(graph, "_installed", lambda name: name == "onnx")
    with pytest.raises(ConfigError) as caught:
        check_opset(18)
    assert str(caught.value) == (
        "`ctrbench export` requires onnxruntime, onnxscript, not installed here; "
        "pip install 'ctrbench[onnx]'."
    )
