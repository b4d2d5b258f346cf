"""The backbone of docs/add_model.md."""

import numpy as np
import pytest
import torch
from torch import nn

from ctrbench import plugins
from ctrbench.settings import TrainingSettings
from ctrbench.training import fit, predict
from tests.documented import documented
from tests.test_contracts import MODES, ROWS, SETTINGS, build

LastClick = documented("LastClick")


@pytest.fixture
def last_click(monkeypatch):
    class Point:
        name = "last_click"

        def load(self):
            return LastClick

    own = plugins._installed

    def added(package):
        more = {"last_click": Point()} if package == "ctrbench.models" else {}
        return own(package) | more

    monkeypatch.setattr(plugins, "_installed", added)
    return SETTINGS.model_copy(update={"backbone": "last_click"})


@pytest.mark.parametrize("name", ["none", *(mode for mode in MODES if mode != "sim_attention")])
def test_every_mode_trains_and_predicts_under_it(name, slots, last_click):
    model, packer = build(name, slots, settings=last_click)
    assert isinstance(model, LastClick)
    fit(model, packer, TrainingSettings(batch_size=128), 0, lambda share: None)
    p_click = predict(model, packer, "test", lambda share: None)
    assert np.isfinite(p_click).all()
    assert len(np.unique(p_click)) > 1


def test_only_the_latest_click_counts(slots, last_click):
    model, packer = build("none", slots, settings=last_click)
    nn.init.normal_(model.reader.weight)
    model.eval()
    batch = packer.pack(ROWS, None)
    earlier = batch.history.clone()
    earlier[:-1][batch.history_row[1:] == batch.history_row[:-1]] = 0
    assert not torch.equal(earlier, batch.history)
    other = type(batch)(**{**vars(batch), "history": earlier})
    torch.testing.assert_close(model(batch), model(other))
