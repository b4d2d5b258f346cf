"""`clip`: contrastive learning of images and titles."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import PositiveFloat

from ctrbench.pretraining.methods._base import ItemBatch, PretrainMethod

if TYPE_CHECKING:
    from torch import Tensor, nn

    from ctrbench.distributed import Processes


class Clip(PretrainMethod):
    """Each image identifies its title among all titles, and each title its image.

    Titles are encoded by a trainable bag of words, or by the model in the folder `text_model`: a
    trainable Hugging Face encoder, or a frozen sentence encoder (a folder with modules.json,
    requires sentence-transformers) with a linear layer. No weights are downloaded.

    Source: Radford et al. 2021, arXiv:2103.00020, figure 3. Items with equal titles are negatives
    of each other, as in the paper. Differs from the paper: the temperature is a setting, as in the
    comparison by COURIER.
    """

    titled: ClassVar[bool] = True

    temperature: PositiveFloat = 0.1
    text_model: Path | None = None  # folder of a text encoder; null: a bag of words

    def layers(self, width: int, titles: list[str] | None) -> dict[str, nn.Module]:
        """See `PretrainMethod`."""
        from ctrbench.pretraining.methods._titles import BagOfWords, from_folder

        assert titles is not None
        if self.text_model is None:
            return {"text": BagOfWords(titles, width)}
        return {"text": from_folder(titles, width, self.text_model)}

    def loss(
        self, layers: nn.ModuleDict, vectors: Tensor, batch: ItemBatch, across: Processes
    ) -> dict[str, Tensor]:
        """See `PretrainMethod`."""
        import torch

        from ctrbench.pretraining.methods._losses import info_nce

        (images,) = vectors
        item = torch.from_numpy(batch.item_id).to(images.device)
        texts = (
            layers["text"](item) if len(item) else images
        )  # language models reject an empty batch
        own = torch.arange(len(item), device=images.device)
        to_text = info_nce(images, texts, item, own, self.temperature, across)
        to_image = info_nce(texts, images, item, own, self.temperature, across)
        return {"to text": to_text / 2, "to image": to_image / 2}
