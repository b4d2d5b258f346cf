"""`swin_t`: the Swin Transformer of torchvision with a new final linear layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import PositiveInt, model_validator

from ctrbench.pretraining.encoders._base import Encoder

if TYPE_CHECKING:
    from torch import Tensor, nn


class SwinT(Encoder):
    """Swin-T, as used by COURIER and its reference methods.

    Source: Liu et al. 2021, arXiv:2103.14030; COURIER (arXiv:2306.05001), appendix 4.1.
    """

    size: PositiveInt = 224
    download: bool = False  # initialise with the ImageNet weights of torchvision
    checkpointing: bool = True  # recompute attention in the backward pass to save memory

    @model_validator(mode="after")
    def _has_one_initialisation(self) -> SwinT:
        if self.download and self.weights is not None:
            raise ValueError("give weights or download, not both")
        return self

    def build(self, width: int) -> nn.Module:
        """See `Encoder`."""
        from torch import nn

        from ctrbench.errors import ConfigError
        from ctrbench.pretraining.encoders._weights import load_weights

        try:
            from torchvision.models import Swin_T_Weights, swin_t
        except ImportError as error:
            raise ConfigError("encoder swin_t requires `pip install ctrbench[pixels]`.") from error
        try:
            network = swin_t(weights=Swin_T_Weights.DEFAULT if self.download else None)
        except OSError as error:
            raise ConfigError(
                f"the weights of swin_t cannot be downloaded ({error}); give a file as "
                "encoder.weights."
            ) from error
        if self.weights is not None:
            load_weights(network, self.weights, optional=("head.",))
        network.head = nn.Linear(network.head.in_features, width)
        if self.checkpointing:
            for module in network.modules():
                if hasattr(module, "attn"):
                    module.attn = _checkpointed(module.attn)
        return network


def _checkpointed(attention: Any) -> nn.Module:
    """Return the layer with activation checkpointing (Chen et al. 2016, arXiv:1604.06174)."""
    from torch import nn
    from torch.utils.checkpoint import checkpoint

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = attention

        def forward(self, values: Tensor) -> Any:
            if not self.training:
                return self.layer(values)
            return checkpoint(self.layer, values, use_reentrant=False)

    return Checkpointed()
