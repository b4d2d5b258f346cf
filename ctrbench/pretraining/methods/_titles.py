"""Encoders of titles: a trainable bag of words, or a model from a local folder.

No file is downloaded. A missing file in a folder is an error.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from zlib import crc32

import torch
from torch import Tensor, nn

from ctrbench.errors import ConfigError, first_line

BUCKETS = 1 << 15  # rows of the table for words and letter triples
LETTERS = 3  # of a part of a word
LONGEST = 64  # largest number of tokens of a title


class BagOfWords(nn.Module):
    """The mean of the embeddings of words and letter triples, and a linear layer.

    Source: Joulin et al. 2017, arXiv:1607.01759, with letter triples hashed into buckets.
    """

    def __init__(self, titles: list[str], width: int) -> None:
        """Tokenise the titles and create the table.

        Args:
            titles: The title of each item.
            width: The width of the output.
        """
        super().__init__()
        rows = [_tokens(title) for title in titles]
        lengths = torch.tensor([0, *map(len, rows)])
        self.register_buffer("tokens", torch.tensor([one for row in rows for one in row]).long())
        self.register_buffer("start", lengths.cumsum(0))
        self.table = nn.EmbeddingBag(BUCKETS, width, mode="mean")
        self.out = nn.Linear(width, width)

    def forward(self, item: Tensor) -> Tensor:
        """Map (n,) item ids to (n, D)."""
        start, tokens = self.get_buffer("start"), self.get_buffer("tokens")
        lengths = start[item + 1] - start[item]
        row = torch.repeat_interleave(torch.arange(len(item), device=item.device), lengths)
        offsets = lengths.cumsum(0) - lengths
        within = torch.arange(len(row), device=item.device) - offsets[row]
        return self.out(self.table(tokens[start[item][row] + within], offsets))


class LanguageModel(nn.Module):
    """The mean of the last states of a trainable Hugging Face encoder, and a linear layer."""

    def __init__(self, titles: list[str], width: int, folder: Path) -> None:
        """Load the model and tokenise the titles.

        Args:
            titles: The title of each item.
            width: The width of the output.
            folder: The folder of the model.

        Raises:
            ConfigError: Transformers is not installed, or the folder contains no such model.
        """
        super().__init__()
        try:
            from transformers import AutoModel, AutoTokenizer
        except ImportError as error:
            raise ConfigError("text_model requires `pip install ctrbench[text]`.") from error
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        try:
            tokenizer = AutoTokenizer.from_pretrained(str(folder), **local)
            self.model = AutoModel.from_pretrained(str(folder), use_safetensors=True, **local)
        except (OSError, ValueError) as error:
            reason = first_line(error)
            raise ConfigError(
                f"text_model {folder} contains no encoder with tokenizer as safetensors: {reason}"
            ) from error
        split = tokenizer(
            titles, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
        )
        self.register_buffer("tokens", split["input_ids"])
        self.register_buffer("mask", split["attention_mask"])
        self.out = nn.Linear(self.model.config.hidden_size, width)

    def forward(self, item: Tensor) -> Tensor:
        """Map (n,) item ids to (n, D)."""
        mask = self.get_buffer("mask")[item]
        longest = int(mask.sum(dim=1).max())
        mask, tokens = mask[:, :longest], self.get_buffer("tokens")[item, :longest]
        states = self.model(input_ids=tokens, attention_mask=mask).last_hidden_state
        weight = mask[..., None].to(states.dtype)
        return self.out((states * weight).sum(dim=1) / weight.sum(dim=1))


class SentenceEncoder(nn.Module):
    """Frozen vectors of a sentence-transformers model, and a trainable linear layer."""

    def __init__(self, titles: list[str], width: int, folder: Path) -> None:
        """Load the model and encode every title once.

        Args:
            titles: The title of each item.
            width: The width of the output.
            folder: The folder of the model.

        Raises:
            ConfigError: Sentence-transformers is not installed, or cannot load the folder.
        """
        super().__init__()
        try:
            from sentence_transformers import (  # pyright: ignore[reportMissingImports]
                SentenceTransformer,
            )
        except ImportError as error:
            raise ConfigError(
                f"text_model {folder} contains a sentence-transformers model (modules.json), which "
                "requires `pip install sentence-transformers`."
            ) from error
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        safe = {"use_safetensors": True}
        try:
            model = SentenceTransformer(str(folder), device="cpu", model_kwargs=safe, **local)
        except (OSError, ValueError, KeyError) as error:
            reason = (str(error).splitlines() or [repr(error)])[0]
            raise ConfigError(
                f"text_model {folder} is not a complete sentence-transformers model: {reason}"
            ) from error
        found = torch.from_numpy(model.encode(titles, show_progress_bar=False)).float()
        self.register_buffer("sentences", found, persistent=False)  # (V, E)
        self.out = nn.Linear(found.shape[1], width)

    def forward(self, item: Tensor) -> Tensor:
        """Map (n,) item ids to (n, D)."""
        return self.out(self.get_buffer("sentences")[item])


def from_folder(titles: list[str], width: int, folder: Path) -> nn.Module:
    """Return the model in a folder: sentence-transformers with modules.json, else transformers.

    Args:
        titles: The title of each item.
        width: The width of the output.
        folder: The folder of the model.

    Raises:
        ConfigError: A library is missing, or the folder contains no such model.
    """
    kind = SentenceEncoder if (folder / "modules.json").is_file() else LanguageModel
    return kind(titles, width, folder)


def _tokens(title: str) -> list[int]:
    """Return the buckets of the words and of their letter triples.

    >>> len(_tokens("Red dress"))
    10
    """
    words = re.findall(r"\w+", title.lower())
    parts = [
        marked[place : place + LETTERS]
        for word in words
        for marked in [f"<{word}>"]
        for place in range(len(marked) - LETTERS + 1)
        if len(marked) > LETTERS
    ]
    return [crc32(token.encode()) % BUCKETS for token in [*words, *parts]]
