"""A source of random vectors, and other parts of a small training."""

import io

import numpy as np
import torch
from PIL import Image
from torch import nn

from ctrbench.distributed import Processes
from ctrbench.pretraining import encoders
from ctrbench.pretraining.fitting import fit
from ctrbench.pretraining.lines import make_lines
from ctrbench.pretraining.methods import configured
from ctrbench.pretraining.pictures import Pictures
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.pretraining.sources import FrozenVectors, ImageSource, Pixels
from ctrbench.pretraining.steps import Step, trainable
from ctrbench.schema import EmbeddingTable
from ctrbench.seeding import scoped_torch_seed
from tests.conftest import ITEMS, make_impressions

SMALL = PretrainSettings(epochs=2, batch_size=16, width=8, learning_rate=0.01)
KNOWN = np.arange(ITEMS + 1) > 0


class Views(ImageSource):
    """A source with random views and a network with dropout."""

    usable = KNOWN

    def __init__(self):
        self.vectors = torch.randn(ITEMS + 1, 6, generator=torch.Generator().manual_seed(4))

    def network(self, width):
        return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Dropout(0.3), nn.Linear(12, width))

    def inputs(self, item_id, view=None):
        rows = self.vectors[item_id]
        if view is None:
            return rows
        with scoped_torch_seed(view[0], *view[1]):
            return rows + 0.5 * torch.randn(rows.shape)

    @property
    def recipe(self):
        return {}


def frozen():
    rng = np.random.default_rng(2)
    vectors = rng.normal(size=(ITEMS + 1, 6)).astype(np.float32) + 3
    return FrozenVectors(EmbeddingTable(vectors, KNOWN), "raw", "hash", KNOWN)


def pixels():
    """Small pictures of coloured noise, and a network without random numbers."""
    rng, files = np.random.default_rng(6), []
    for _ in range(ITEMS):
        noise = Image.fromarray(rng.integers(0, 256, (3, 3, 3), np.uint8)).resize((20, 20))
        file = io.BytesIO()
        noise.save(file, "PNG")
        files.append(file.getvalue())
    start = np.cumsum([0, 0, *map(len, files)])  # item 0 has none
    pictures = Pictures(start, np.frombuffer(b"".join(files), np.uint8), KNOWN, {}, "hash")
    return Pixels(
        pictures, encoders.configured("small", {"channels": 8, "size": 16}), "small", KNOWN
    )


def samples_of(method):
    if method.samples == "lines":
        return make_lines(make_impressions(), KNOWN)
    return np.flatnonzero(KNOWN)


def titles_of(method):
    return [""] + [f"title {i % 7} of {i}" for i in range(1, ITEMS + 1)] if method.titled else None


def step_of(name, source, settings=SMALL, across=None):
    """Return a step at the start of a training, and all parameters."""
    method = configured(name, {})
    torch.manual_seed(0)
    network = source.network(settings.width)
    layers = nn.ModuleDict(method.layers(settings.width, titles_of(method)))
    step = Step(method, source, settings, across or Processes(), network, layers)
    return step, samples_of(method), trainable(network, layers)


def trained(folder, name="courier", source=None, settings=SMALL, progress=lambda *_: None, **more):
    method = configured(name, more)
    source = source or (Views() if method.augmented else frozen())
    return fit(method, source, samples_of(method), titles_of(method), settings, folder, progress)
