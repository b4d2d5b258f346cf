"""Encoders: shapes, weights from files, independence of pictures."""

import pytest
import torch
from safetensors.torch import save_file
from torchvision.models import swin_t

from ctrbench import plugins
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.pretraining.encoders import configured

PICTURES = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("name", plugins.names("ctrbench.pretraining.encoders"))
def test_encoding_does_not_depend_on_other_pictures(name):
    torch.manual_seed(0)
    network = configured(name, {"size": 64}).build(8).eval()
    together = network(PICTURES)
    assert together.shape == (3, 8)
    alone = torch.cat([network(PICTURES[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_activation_checkpointing_does_not_change_the_gradient():
    found = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        network = configured("swin_t", {"size": 64, "checkpointing": checkpointing}).build(8)
        torch.manual_seed(1)  # of the layers left out at random
        network.train()(PICTURES).square().sum().backward()
        found.append([parameter.grad for parameter in network.parameters()])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("ending", [".safetensors", ".pt"])
def test_torchvision_weights_fill_all_layers_except_the_last(ending, tmp_path):
    torch.manual_seed(0)
    given = swin_t(weights=None)
    path = tmp_path / f"swin{ending}"
    save = save_file if ending == ".safetensors" else torch.save
    save(given.state_dict(), path)
    settings = {"size": 64, "weights": str(path), "checkpointing": False}
    network = configured("swin_t", settings).build(8)
    for name, value in given.state_dict().items():
        if not name.startswith("head."):
            torch.testing.assert_close(network.state_dict()[name], value, rtol=0, atol=0)


def test_unsuitable_weights_are_an_error(tmp_path):
    path = tmp_path / "small.pt"
    small = {"channels": 8, "weights": str(path)}
    torch.save(configured("small", {"channels": 16}).build(8).state_dict(), path)
    with pytest.raises(ConfigError, match=r"Sequential: .* other shapes"):
        configured("small", small).build(8)
    torch.save({"0.weight": torch.zeros(8, 3, 3, 3)}, path)
    with pytest.raises(ConfigError, match=r"the file lacks 11 tensors, such as 1\.bias"):
        configured("small", small).build(8)
    torch.save(configured("small", {"channels": 8}).build(8), path)  # code, not weights
    with pytest.raises(ConfigError, match="tensors"):
        configured("small", small).build(8)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ConfigError, match=r"small\.pt"):
        configured("small", small).build(8)


def test_invalid_settings_are_errors():
    with pytest.raises(ConfigError, match="channels: must be a multiple of 8"):
        configured("small", {"channels": 12})
    with pytest.raises(ConfigError, match="give weights or download, not both"):
        configured("swin_t", {"weights": "x.pt", "download": True})
    with pytest.raises(UnknownNameError, match="Did you mean 'swin_t'"):
        configured("swin", {})
