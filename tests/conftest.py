"""A tiny log in memory, built by plain loops, and a small world on disk."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from ctrbench.batches.slots import HistorySlots
from ctrbench.schema import DatasetManifest, Field, Impressions, Ragged, Split
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world

# Every run uses the same examples; HYPOTHESIS_PROFILE=search uses new ones.
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

USERS, ITEMS, IMPRESSIONS = 25, 40, 1200
BOUNDS = {"pretrain": 0.2, "train": 0.7, "valid": 0.8, "test": 1.0}


def make_impressions(seed: int = 0, taste: float = 0.0, vectors: np.ndarray | None = None):
    """Return a log whose clicks depend on previously clicked vectors with weight `taste`."""
    rng = np.random.default_rng(seed)
    user = rng.integers(1, USERS + 1, IMPRESSIONS).astype(np.int32)
    item = rng.integers(1, ITEMS + 1, IMPRESSIONS).astype(np.int32)
    time = np.sort(rng.integers(0, 400, IMPRESSIONS)).astype(np.int64)
    wishes = rng.normal(size=(USERS + 1, 0 if vectors is None else vectors.shape[1]))
    logit = np.zeros(IMPRESSIONS)
    if vectors is not None:
        logit = taste * (wishes[user] * vectors[item]).sum(axis=1)
    click = (rng.random(IMPRESSIONS) < 1 / (1 + np.exp(-logit))).astype(np.int8)
    start, length, prior, clicked, flat, begins = [], [], [], [], [], {}
    for u in range(USERS + 1):
        begins[u] = len(flat)
        flat += [item[i] for i in range(IMPRESSIONS) if user[i] == u and click[i]]
    for i in range(IMPRESSIONS):
        before = [j for j in range(IMPRESSIONS) if user[j] == user[i] and time[j] < time[i]]
        start.append(begins[user[i]])
        length.append(sum(click[j] for j in before))
        prior.append(len(before))
        clicked.append(sum(click[j] for j in before))
    colours = rng.integers(0, 4, ITEMS + 1).astype(np.int32)
    colours[0] = 0
    tags = [
        [] if i == 0 else rng.integers(1, 4, rng.integers(0, 3)).tolist() for i in range(ITEMS + 1)
    ]
    price = rng.normal(size=ITEMS + 1).astype(np.float32)
    price[3] = np.nan
    stops = [int(share * IMPRESSIONS) for share in BOUNDS.values()]
    periods = dict(zip(BOUNDS, zip([0, *stops], stops, strict=False), strict=True))
    fields = (
        Field(name="colour", of="item", kind="categorical", size=3),
        Field(name="tags", of="item", kind="list", size=3),
        Field(name="price", of="item", kind="numeric"),
        Field(name="age", of="user", kind="categorical", size=5),
        Field(name="hour", of="context", kind="numeric"),
    )
    return Impressions(
        manifest=DatasetManifest(
            name="tiny",
            importer="test",
            label="coin",
            split=Split(kind="time", shares=(0.2, 0.5, 0.1, 0.2)),
            periods=periods,
            history="derived",
            has_timestamp=True,
            has_weight=False,
            has_images=False,
            fields=fields,
            counts={"impressions": IMPRESSIONS, "users": USERS, "items": ITEMS},
            content_hash="0" * 16,
            items_hash="0" * 16,
            created="2026-01-01T00:00:00+00:00",
            ctrbench_version="0",
        ),
        user_id=user,
        item_id=item,
        click=click,
        history_start=np.array(start, np.int64),
        history_length=np.array(length, np.int32),
        history_items=np.array(flat, np.int32),
        timestamp=time,
        weight=None,
        prior_impressions=np.array(prior, np.int32),
        prior_clicks=np.array(clicked, np.int32),
        p_true=None,
        user_fields={"age": rng.integers(0, 6, USERS + 1).astype(np.int32)},
        item_fields={
            "colour": colours,
            "tags": Ragged(
                np.cumsum([0, *map(len, tags)]),
                np.array([tag for row in tags for tag in row], np.int32),
            ),
            "price": price,
        },
        context_fields={"hour": rng.random(IMPRESSIONS).astype(np.float32)},
    )


@pytest.fixture(scope="session")
def impressions() -> Impressions:
    return make_impressions()


@pytest.fixture(scope="session")
def slots(impressions: Impressions) -> HistorySlots:
    return HistorySlots(impressions, history_length=10)


@pytest.fixture(scope="session")
def made_workspace(tmp_path_factory) -> Workspace:
    """Return a small synthetic world on disk, shared by all tests; copy it before a change."""
    home = tmp_path_factory.mktemp("world")
    config = WorldConfig(kind="taste", users=80, items=60, impressions=4000, strength=1.0, seed=0)
    write_world(config, home)
    return Workspace(home)


@pytest.fixture
def workspace(made_workspace: Workspace, tmp_path: Path) -> Workspace:
    """Return a copy of the workspace with the data set `taste` and versions of known quality."""
    shutil.copytree(made_workspace.home, tmp_path / "home")
    return Workspace(tmp_path / "home")
