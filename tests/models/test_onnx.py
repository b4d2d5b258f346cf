"""Export to ONNX: a trained model has equal logits in onnxruntime."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from ctrbench.batches.packing import Bag, Batch
from ctrbench.settings import TrainingSettings
from ctrbench.training import fit
from tests.test_contracts import MODES, ROWS, build

onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'ctrbench[onnx]'")


class Flat(nn.Module):
    """The model with its batch as tensors, in the order of `flatten`."""

    def __init__(self, model, like):
        super().__init__()
        self.model, self.like = model, like

    def forward(self, *tensors):
        return self.model(unflatten(self.like, list(tensors)))


def flatten(batch):
    """Return all input tensors of a prediction by name."""
    tensors = {}
    for field in dataclasses.fields(batch):
        value = getattr(batch, field.name)
        if field.name in ("click", "weight"):
            continue
        for key, part in (value if isinstance(value, dict) else {"": value}).items():
            name = f"{field.name}_{key}".strip("_")
            if isinstance(part, Bag):
                tensors |= {f"{name}_codes": part.codes, f"{name}_row": part.row}
            else:
                tensors[name] = part
    return tensors


def unflatten(like, tensors):
    """Return the batch of tensors in the same order."""

    def taken(part):
        if isinstance(part, dict):
            return {key: taken(inner) for key, inner in part.items()}
        if isinstance(part, Bag):
            return Bag(tensors.pop(0), tensors.pop(0))
        return tensors.pop(0)

    given = {"click": like.click, "weight": like.weight}
    for field in dataclasses.fields(like):
        if field.name not in given:
            given[field.name] = taken(getattr(like, field.name))
    return Batch(**given)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # warnings of the exporter
@pytest.mark.parametrize("name", ["none", *MODES])
def test_onnx_logits_equal_torch_on_another_batch(name, slots, tmp_path):
    model, packer = build(name, slots)
    fit(model, packer, TrainingSettings(batch_size=128), 0, lambda share: None)
    model.eval()
    batch, path = packer.pack(ROWS, None), tmp_path / "model.onnx"
    tensors = flatten(batch)
    torch.onnx.export(
        Flat(model, batch),
        tuple(tensors.values()),
        str(path),
        input_names=list(tensors),
        dynamic_shapes={"tensors": tuple({0: torch.export.Dim.AUTO} for _ in tensors)},
        verbose=False,
    )
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    used = {given.name for given in session.get_inputs()}
    other = packer.pack(np.arange(1000, 1037), None)
    feed = {key: tensor.numpy() for key, tensor in flatten(other).items() if key in used}
    (logit,) = session.run(None, feed)
    with torch.no_grad():
        expected = model(other).numpy()
    np.testing.assert_allclose(logit, expected, rtol=1e-5, atol=1e-5)
