import pytest
import torch

from ctrbench.executors import SLOT
from ctrbench.runner.parts import _device


@pytest.mark.parametrize(
    ("name", "slot", "expected"),
    [
        ("cuda", None, "cuda:0"),
        ("cuda", "3", "cuda:1"),
        ("cuda", "2", "cuda:0"),
        ("cuda:0", "3", "cuda:0"),
        ("cpu", "3", "cpu"),
    ],
)
def test_concurrent_cells_take_turns_at_the_gpus(monkeypatch, name, slot, expected):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.delenv(SLOT, raising=False)
    if slot is not None:
        monkeypatch.setenv(SLOT, slot)
    assert _device(name) == torch.device(expected)
