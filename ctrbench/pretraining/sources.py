"""Inputs of an encoder: the picture of an item, or its vector in a registered version."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ctrbench.atomic import atomic_file
from ctrbench.embeddings.directions import SQUARABLE
from ctrbench.errors import ConfigError, DataError
from ctrbench.identity import hash_files
from ctrbench.pretraining.encoders import Encoder
from ctrbench.pretraining.pictures import Pictures
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import scoped_torch_seed

STARTED_ON = 256  # largest number of pictures that standardise the initial output
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet

View = tuple[int, tuple[str | int, ...]] | None  # seed and name of the random streams of a view


class ImageSource(ABC):
    """The inputs of the encoder, and the network that encodes them."""

    usable: np.ndarray  # (V,) bool: items that can be encoded

    @abstractmethod
    def network(self, width: int) -> nn.Module:
        """Return a network that maps (n, ...) inputs to (n, width) vectors."""

    @abstractmethod
    def inputs(self, item_id: np.ndarray, view: View = None) -> Tensor:
        """Return the network inputs of items, (n, ...) float32.

        Args:
            item_id: (n,) int.
            view: The random view; each item has its own random stream, so its view does not depend
                on the other items.
        """

    @property
    @abstractmethod
    def recipe(self) -> dict[str, Any]:
        """The properties of the source on which the vectors depend."""

    def save(self, network: nn.Module, path: Path) -> None:
        """Write the weights as .safetensors; the setting `weights` of an encoder reads them.

        Args:
            network: The trained network.
            path: The file.
        """
        from safetensors.torch import save

        state = {name: own.cpu() for name, own in network.state_dict().items()}
        with atomic_file(path) as temporary:
            temporary.write_bytes(save(state))  # `save_file` leaves another file if killed


class FrozenVectors(ImageSource):
    """A registered version as frozen backbone, with one trainable linear layer on top."""

    def __init__(
        self, table: EmbeddingTable, name: str, content_hash: str, fitting: np.ndarray
    ) -> None:
        """Compute mean and scale of the vectors.

        Args:
            table: The table of the version.
            name: The name of the version.
            content_hash: The hash of the version.
            fitting: (V,) bool, items of the pretrain period.

        Raises:
            DataError: No item of the pretrain period has a vector.
        """
        if not (np.asarray(table.has_vector) & fitting).any():
            raise DataError(
                f"version {name!r} has no vector for any item of the pretrain period; choose a "
                "version that covers these items."
            )
        self.table, self.name, self.content_hash = table, name, content_hash
        self.usable = np.asarray(table.has_vector)
        fitted = np.asarray(table.vectors[self.usable & fitting], np.float32)
        low, high = SQUARABLE
        largest = float(max(fitted.max(), -fitted.min()))
        self._exponent = 0 if low < largest < high else int(np.frexp(largest)[1])
        fitted = np.ldexp(fitted, -self._exponent)
        self._mean = fitted.mean(axis=0)
        self._scale = float(np.square(fitted - self._mean).mean() ** 0.5) or 1.0

    def network(self, width: int) -> nn.Module:
        """Return one linear layer."""
        return nn.Linear(self.table.vectors.shape[1], width)

    def inputs(self, item_id: np.ndarray, view: View = None) -> Tensor:
        """Return vectors, (n, D), with mean 0 and mean square 1 over the pretrain items."""
        assert view is None
        vectors = np.ldexp(np.asarray(self.table.vectors[item_id], np.float32), -self._exponent)
        return torch.from_numpy((vectors - self._mean) / self._scale)

    @property
    def recipe(self) -> dict[str, Any]:
        """See `ImageSource`."""
        return {"from_version": self.name, "parent_hash": self.content_hash}


class Pixels(ImageSource):
    """Pictures, and the encoder that is trained on them."""

    def __init__(
        self, pictures: Pictures, encoder: Encoder, encoder_name: str, fitting: np.ndarray
    ) -> None:
        """Store the arguments; no picture is decoded yet.

        Args:
            pictures: The pictures of the data set.
            encoder: The encoder.
            encoder_name: The name of the encoder.
            fitting: (V,) bool, items of the pretrain period.
        """
        self.pictures, self.encoder, self.encoder_name = pictures, encoder, encoder_name
        self.usable, self._fitting = pictures.usable, fitting

    def network(self, width: int) -> nn.Module:
        """Return the encoder with its initial output standardised to mean 0 and mean square 1.

        A randomly initialised network maps all pictures to nearly the same vector, so contrastive
        losses on cosines hardly learn.

        Source: data-dependent initialisation, Krähenbühl et al. 2016, arXiv:1511.06856; here only
        for the output.
        """
        encoder = self.encoder.build(width)
        items = np.flatnonzero(self.usable & self._fitting)
        sample = items[:: -(-len(items) // STARTED_ON) or 1]
        encoder.eval()
        with torch.no_grad():
            parts = [
                encoder(self.inputs(part)) for part in np.split(sample, range(64, len(sample), 64))
            ]
        return nn.Sequential(encoder, _Standardised(torch.cat(parts)))

    def inputs(self, item_id: np.ndarray, view: View = None) -> Tensor:
        """Return normalised pictures, (n, 3, size, size); a view is augmented first."""
        pixels = torch.from_numpy(self.pictures.pixels(item_id, self.encoder.size))
        pixels = pixels.permute(0, 3, 1, 2)
        if view is not None:
            seed, name = view
            augmented = augmentation(self.encoder.size)
            views = []
            for item, picture in zip(item_id.tolist(), pixels, strict=True):
                with scoped_torch_seed(seed, *name, item):
                    views.append(augmented(picture))
            pixels = torch.stack(views)
        mean, deviation = (torch.tensor(values).view(3, 1, 1) for values in (MEAN, DEVIATION))
        return (pixels / 255 - mean) / deviation

    def save(self, network: nn.Module, path: Path) -> None:
        """Write the weights of the encoder, without the standardisation of its output."""
        encoder = network.get_submodule("0")
        super().save(encoder, path)

    @property
    def recipe(self) -> dict[str, Any]:
        """See `ImageSource`."""
        settings = self.encoder.model_dump(mode="json", exclude={"weights"})
        weights = self.encoder.weights
        return {
            "images_hash": self.pictures.content_hash,
            "encoder": self.encoder_name,
            "encoder_settings": settings,
            "started_on": STARTED_ON,
            "weights_hash": None if weights is None else hash_files(weights),
        }


class _Standardised(nn.Module):
    """Standardises vectors by the mean and the scale of the initial output."""

    def __init__(self, initial: Tensor) -> None:
        super().__init__()
        mean = initial.mean(dim=0)
        scale = (initial - mean).square().mean().sqrt()
        self.mean: Tensor
        self.scale: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale if scale > 0 else torch.ones(()))

    def forward(self, vectors: Tensor) -> Tensor:
        """Map (n, width) to (n, width)."""
        return (vectors - self.mean) / self.scale


def augmentation(size: int) -> nn.Module:
    """Return the transform for random views: crop, flip, colour jitter, greyscale, blur.

    Args:
        size: Height and width in pixels.

    Source: Chen et al. 2020, arXiv:2002.05709, appendix A, strength 1.

    Raises:
        ConfigError: Torchvision is not installed.
    """
    try:
        from torchvision.transforms import v2
    except ImportError as error:
        raise ConfigError("random views require `pip install ctrbench[pixels]`.") from error
    kernel = size // 10 | 1  # a tenth of the size, odd
    return v2.Compose(
        [
            v2.RandomResizedCrop(size, antialias=True),
            v2.RandomHorizontalFlip(),
            v2.RandomApply([v2.ColorJitter(0.8, 0.8, 0.8, 0.2)], p=0.8),
            v2.RandomGrayscale(p=0.2),
            v2.RandomApply([v2.GaussianBlur(kernel, sigma=(0.1, 2.0))], p=0.5),
        ]
    )
