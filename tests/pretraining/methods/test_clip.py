"""Title encoders, and the contrastive loss of images and titles."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ctrbench.distributed import Processes
from ctrbench.errors import ConfigError
from ctrbench.pretraining.methods import ItemBatch, configured
from ctrbench.pretraining.methods._titles import BagOfWords, LanguageModel, _tokens

TITLES = ["", "Red dress", "red shirt", "a blue, blue coat", "dress"]


def test_bag_of_words_is_the_mean_over_tokens():
    torch.manual_seed(0)
    bag = BagOfWords(TITLES, 6)
    found = bag(torch.tensor([3, 1, 1]))
    for row, item in zip(found, (3, 1, 1), strict=True):
        mean = bag.table.weight[torch.tensor(_tokens(TITLES[item]))].mean(dim=0)
        torch.testing.assert_close(row, bag.out(mean))


def test_tokens_are_words_and_their_letter_triples():
    assert len(_tokens("Red dress")) == 2 + 3 + 5  # <red> has three triples, <dress> five
    assert _tokens("RED") == _tokens("red,")
    assert set(_tokens("红裙")) & set(_tokens("红裙子"))  # without spaces, parts are shared


def test_loss_equals_the_symmetric_cross_entropy():
    method = configured("clip", {"temperature": 0.2})
    torch.manual_seed(0)
    layers = nn.ModuleDict(method.layers(6, TITLES))
    images, batch = torch.randn(3, 6), ItemBatch(np.array([1, 2, 4]))
    terms = method.loss(layers, images[None], batch, Processes())
    texts = F.normalize(layers["text"](torch.tensor([1, 2, 4])), dim=1)
    logits = F.normalize(images, dim=1) @ texts.t() / 0.2
    own = torch.arange(3)
    torch.testing.assert_close(terms["to text"], F.cross_entropy(logits, own) / 2)
    torch.testing.assert_close(terms["to image"], F.cross_entropy(logits.t(), own) / 2)


@pytest.fixture(scope="module")
def language_model(tmp_path_factory):
    """Return a folder with a tiny BERT and a word tokenizer."""
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = ["[PAD]", "[UNK]", "red", "dress", "shirt", "blue", "coat", "a", ",", "Red"]
    split = Tokenizer(WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    split.pre_tokenizer = Whitespace()
    folder = tmp_path_factory.mktemp("bert")
    PreTrainedTokenizerFast(
        tokenizer_object=split, pad_token="[PAD]", unk_token="[UNK]"
    ).save_pretrained(folder)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = BertConfig(vocab_size=len(words), intermediate_size=16, **sizes)
    BertModel(config).save_pretrained(folder)
    return folder


def test_language_model_encodes_titles_independently(language_model):
    torch.manual_seed(0)
    model = LanguageModel(TITLES, 6, language_model).eval()
    together = model(torch.tensor([1, 3, 4]))
    assert together.shape == (3, 6)
    for row, item in zip(together, (1, 3, 4), strict=True):
        torch.testing.assert_close(row, model(torch.tensor([item]))[0], rtol=1e-4, atol=1e-5)


def test_language_model_is_trained(language_model):
    method = configured("clip", {"text_model": str(language_model)})
    layers = nn.ModuleDict(method.layers(6, TITLES))
    batch = ItemBatch(np.array([1, 2, 4]))
    terms = method.loss(layers, torch.randn(1, 3, 6), batch, Processes())
    sum(terms.values()).backward()
    moved = [p.grad is not None for p in layers["text"].model.parameters()]
    assert any(moved)


class StandIn:
    """A stand-in for SentenceTransformer: vectors of title length and number of words."""

    def __init__(self, folder, device, model_kwargs, local_files_only, trust_remote_code):
        if "broken" in folder:
            raise ValueError("no tokenizer\nand more")
        assert (local_files_only, trust_remote_code) == (True, False)
        assert model_kwargs == {"use_safetensors": True}

    def encode(self, titles, show_progress_bar):
        return np.array([[len(one), len(one.split()), 1] for one in titles], np.float32)


@pytest.fixture
def sentence_folder(tmp_path, monkeypatch):
    module = ModuleType("sentence_transformers")
    module.SentenceTransformer = StandIn
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    for name in ("good", "broken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "modules.json").write_text("[]")
    return tmp_path


def test_sentence_encoder_is_frozen_below_a_linear_layer(sentence_folder):
    method = configured("clip", {"text_model": str(sentence_folder / "good")})
    torch.manual_seed(0)
    text = nn.ModuleDict(method.layers(6, TITLES))["text"]
    expected = text.out(torch.tensor([[17.0, 4.0, 1.0], [9.0, 2.0, 1.0]]))
    torch.testing.assert_close(text(torch.tensor([3, 1])), expected)
    assert set(text.state_dict()) == {"out.weight", "out.bias"}


def test_sentence_encoder_that_cannot_be_loaded_is_an_error(sentence_folder, monkeypatch):
    method = configured("clip", {"text_model": str(sentence_folder / "broken")})
    with pytest.raises(ConfigError, match=r"no tokenizer$"):
        method.layers(6, TITLES)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(ConfigError, match="`pip install sentence-transformers`"):
        method.layers(6, TITLES)


def test_folder_without_a_model_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="encoder with tokenizer"):
        LanguageModel(TITLES, 6, tmp_path)
