from dataclasses import fields

import numpy as np
import torch

from ctrbench.batches.loading import loaded
from tests.test_contracts import build


def test_batches_are_moved_in_order(slots):
    _, packer = build("vector", slots)
    sizes = [3, 7, 1]
    batches = [packer.pack(np.arange(100, 100 + size), None) for size in sizes]
    moved = list(loaded(iter(batches), torch.device("meta")))
    assert [len(batch.click) for batch in moved] == sizes
    for batch in moved:
        values = [getattr(batch, field.name) for field in fields(batch)]
        values += [one for value in values if isinstance(value, dict) for one in value.values()]
        devices = {value.device.type for value in values if isinstance(value, torch.Tensor)}
        assert devices == {"meta"}


def test_batches_of_a_cpu_are_packed_on_request(slots):
    packed = []

    def batches():
        for name in ("first", "second"):
            packed.append(name)
            yield name

    found = loaded(batches(), torch.device("cpu"))
    assert next(found) == "first"
    assert packed == ["first"]
