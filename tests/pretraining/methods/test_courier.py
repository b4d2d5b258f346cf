"""The three terms of COURIER against plain loops, with padding and exclusions."""

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ctrbench.distributed import Processes
from ctrbench.pretraining.methods import LineBatch, configured

ALONE, WIDTH = Processes(), 8


def made(**settings):
    method = configured("courier", settings)
    torch.manual_seed(0)
    return method, nn.ModuleDict(method.layers(WIDTH, None))


def batch():
    """Return seven images and three lines; -1 is padding."""
    return LineBatch(
        item_id=np.array([3, 5, 6, 8, 9, 11, 12]),
        shown=torch.tensor([[0, 1, -1], [2, -1, -1], [1, 3, 0]]),
        click=torch.tensor([[0, 1, 0], [1, 0, 0], [0, 0, 1]]).bool(),
        history=torch.tensor([[-1, 4, 5], [-1, -1, 6], [2, 5, 6]]),
        target=torch.tensor([5, 6]),
        earlier=torch.tensor([[-1, -1, 4], [-1, 2, 5]]),
    )


def by_loops(method, layers, vectors, lines):
    attention = layers["reconstruction"].attention

    def rebuilt(query, history):
        keys = torch.stack([vectors[i] for i in history if i >= 0])[None]
        return attention(query[None, None], keys, keys, need_weights=False)[0][0, 0]

    shown, made_of, items, clicked = [], [], [], []
    for places, clicks, history in zip(
        lines.shown.tolist(), lines.click.tolist(), lines.history.tolist(), strict=True
    ):
        for place, click in zip(places, clicks, strict=True):
            if place >= 0:
                shown.append(vectors[place])
                made_of.append(rebuilt(vectors[place], history))
                items.append(int(lines.item_id[place]))
                clicked.append(click)

    def recognised(pairs, images, image_items):
        losses = []
        for made_one, own in pairs:
            logits = []
            for j, image in enumerate(images):
                if j == own or image_items[j] != image_items[own]:
                    logits.append(F.cosine_similarity(made_one, image, dim=0) / method.temperature)
                    if j == own:
                        place = len(logits) - 1
            losses.append(F.cross_entropy(torch.stack(logits)[None], torch.tensor([place])))
        return torch.stack(losses).mean()

    contrast = recognised([(made_of[j], j) for j, yes in enumerate(clicked) if yes], shown, items)
    logit = torch.stack(
        [layers["click"](torch.cat(pair))[0] for pair in zip(made_of, shown, strict=True)]
    )
    prediction = F.binary_cross_entropy_with_logits(logit, torch.tensor(clicked).float())
    targets = [vectors[i] for i in lines.target.tolist()]
    sequence = recognised(
        [
            (rebuilt(target, earlier), s)
            for s, (target, earlier) in enumerate(zip(targets, lines.earlier.tolist(), strict=True))
        ],
        targets,
        [int(lines.item_id[i]) for i in lines.target.tolist()],
    )
    return {"contrast": contrast, "prediction": prediction, "sequence": sequence}


def test_terms_equal_plain_loops():
    method, layers = made()
    vectors = torch.randn(7, WIDTH)
    expected = by_loops(method, layers, vectors, batch())
    found = method.loss(layers, vectors[None], batch(), ALONE)
    for name, term in expected.items():
        torch.testing.assert_close(found[name], term, msg=lambda m, name=name: f"{name}: {m}")


@pytest.mark.parametrize("term", ["contrast", "sequence"])
def test_cosines_are_divided_by_the_temperature(term):
    """Check the temperature; the released code divides by 20 instead of 0.05."""
    method, layers = made(temperature=0.05)
    vectors = torch.randn(7, WIDTH)
    found = method.loss(layers, vectors[None], batch(), ALONE)[term].detach()
    wrong = by_loops(configured("courier", {"temperature": 20.0}), layers, vectors, batch())[term]
    right = by_loops(method, layers, vectors, batch())[term]
    torch.testing.assert_close(found, right.detach())
    assert abs(float(found) - float(wrong.detach())) > 0.1


def test_loss_does_not_depend_on_padding():
    method, layers = made()
    vectors, lines = torch.randn(7, WIDTH), batch()
    wider = dataclasses.replace(
        lines,
        shown=F.pad(lines.shown, (0, 2), value=-1),
        click=F.pad(lines.click, (0, 2)),
        history=F.pad(lines.history, (3, 0), value=-1),
        earlier=F.pad(lines.earlier, (1, 0), value=-1),
    )
    one, two = (method.loss(layers, vectors[None], each, ALONE) for each in (lines, wider))
    for name in one:
        torch.testing.assert_close(one[name], two[name])


def test_weight_of_zero_removes_a_term():
    for term in ("contrast", "prediction", "sequence"):
        method, layers = made(**{term: 0})
        assert term not in method.loss(layers, torch.randn(1, 7, WIDTH), batch(), ALONE)


@pytest.mark.parametrize("negatives", [True, False])
def test_lines_without_a_sequence_target(negatives):
    method, layers = made(negatives=negatives)
    vectors = torch.randn(7, WIDTH, requires_grad=True)
    without = dataclasses.replace(batch(), target=batch().target[:0], earlier=batch().earlier[:0])
    whole, found = (method.loss(layers, vectors[None], b, ALONE) for b in (batch(), without))
    for term in ("contrast", "prediction"):
        torch.testing.assert_close(found[term], whole[term])
    assert float(found["sequence"].detach()) == 0
    found["sequence"].backward()


def test_token_query_does_not_depend_on_the_target():
    _, layers = made(query="token")
    vectors = torch.randn(7, WIDTH)
    rebuilt = layers["reconstruction"](vectors, batch().shown, batch().history)
    torch.testing.assert_close(rebuilt[:, 0], rebuilt[:, 1])
    _method, layers = made()
    rebuilt = layers["reconstruction"](vectors, batch().shown, batch().history)
    assert not torch.allclose(rebuilt[2, 0], rebuilt[2, 1])


def test_projection_is_applied_before_the_losses():
    method, layers = made(projection=True)
    vectors = torch.randn(7, WIDTH)
    plain = configured("courier", {})
    seen = layers["projection"](vectors)[None]
    for name, term in plain.loss(layers, seen, batch(), ALONE).items():
        torch.testing.assert_close(method.loss(layers, vectors[None], batch(), ALONE)[name], term)


def test_conflicting_negatives_converge_to_a_tie():
    """Two lines show the same images; each clicks a different one of the first two, which then tie.

    The example of COURIER's section 3: [[1, 0, 0], [0, 1, 0]] converges to [.5, .5, 0].
    """
    from ctrbench.pretraining.methods._losses import info_nce

    torch.manual_seed(0)
    images = nn.Parameter(torch.randn(3, WIDTH))
    made_of = nn.Parameter(torch.randn(WIDTH))  # both histories are equal
    optimizer = torch.optim.Adam([images, made_of], lr=0.05)
    shown = torch.tensor([0, 1, 2])
    for _ in range(1000):
        optimizer.zero_grad()
        clicked = torch.tensor([0, 1])
        loss = info_nce(made_of.expand(2, -1), images[shown], torch.arange(3), clicked, 0.5, ALONE)
        loss.backward()
        optimizer.step()
    cosine = F.cosine_similarity(images, made_of[None], dim=1)
    p = torch.softmax(cosine / 0.05, dim=0)
    torch.testing.assert_close(p.detach(), torch.tensor([0.5, 0.5, 0.0]), atol=0.02, rtol=0)
