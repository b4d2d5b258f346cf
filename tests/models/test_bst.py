import numpy as np
import torch
from torch import nn

from ctrbench.models.bst import BST
from tests.test_contracts import BACKBONES, ROWS, build


def test_block_equals_torchs_own_transformer(slots):
    """Return logits of one impression at a time, from layers of torch.nn with the same weights."""
    model, packer = build("none", slots, settings=BACKBONES["bst"])
    assert isinstance(model, BST)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    batch, width = packer.pack(ROWS, None), 8
    with torch.no_grad():
        items = model._items(batch)
        found = model.read(items, model.mode.inject(model.image_layers, batch), batch).ids
        theirs = nn.MultiheadAttention(width, 2, batch_first=True)
        three = model.query, model.key, model.value
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in three]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in three]))
        theirs.out_proj.load_state_dict(model.out.state_dict())
        for row in range(len(ROWS)):
            clicks = batch.history[batch.history_row == row].flip(0)  # the latest first
            tokens = model.token_id(items[torch.cat([batch.target[row : row + 1], clicks])])
            tokens = (tokens + model.position.weight[: len(tokens)])[None]
            seen, _ = theirs(tokens, tokens, tokens)
            hidden = model.norms[0](tokens + seen)
            wide = torch.nn.functional.leaky_relu(model.wide(hidden))
            made = model.norms[1](hidden + model.narrow(wide))[0]
            mean = made[1:].mean(dim=0) if len(made) > 1 else torch.zeros(width)
            expected = torch.cat([made[0], mean])
            torch.testing.assert_close(found[row], expected, rtol=1e-4, atol=1e-5)


def test_logit_depends_on_the_order_of_clicks(slots):
    model, packer = build("none", slots, settings=BACKBONES["bst"])
    nn.init.normal_(model.position.weight)
    model.eval()
    batch = packer.pack(ROWS, None)
    turned = batch.history.clone()
    for row in range(len(ROWS)):
        own = batch.history_row == row
        turned[own] = batch.history[own].flip(0)
    other = type(batch)(**{**vars(batch), "history": turned})
    long = np.bincount(batch.history_row.numpy(), minlength=len(ROWS)) > 1
    assert (model(batch) != model(other))[torch.from_numpy(long)].any()


def test_attention_changes_apply_to_the_logits_of_the_target(slots):
    """Check that a shift of minus infinity on all clicks leaves only the target."""
    model, packer = build("sim_attention", slots, settings=BACKBONES["bst"])
    batch = packer.pack(ROWS, None)
    items = model._items(batch)
    ones = torch.ones(len(batch.history))
    injected = type(model.mode.inject(model.image_layers, batch))(attention=(ones, -1e9 * ones))
    found = model.read(items, injected, batch).ids[:, :8]
    tokens = model.token_id(items)[batch.target] + model.position.weight[0]
    hidden = model.norms[0](tokens + model.out(model.value(tokens)))
    wide = torch.nn.functional.leaky_relu(model.wide(hidden))
    torch.testing.assert_close(found, model.norms[1](hidden + model.narrow(wide)))
