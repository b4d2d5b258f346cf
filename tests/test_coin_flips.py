"""GAUC on a log of coin flips is one half for every mode and backbone.

Every user clicks at an individual rate. Histories, their lengths and click rates distinguish users,
so AUC is above one half. Within an evaluation group they contain no information, so GAUC is one
half. With the snapshot `impression` they contain outcomes of the group, and GAUC is far below one
half.
"""

from dataclasses import replace

import numpy as np
import pytest

from ctrbench import embeddings, impressions, plugins
from ctrbench.analysis.matrices import comparison_table
from ctrbench.embeddings.readers import Source
from ctrbench.importing import Snapshot
from ctrbench.impressions.permuting import inputs_follow_outcomes, permuted_outcomes
from ctrbench.injection import Injection
from ctrbench.metrics import gauc
from ctrbench.runner.probes import with_noise
from ctrbench.runner.run import run_matrix
from ctrbench.stats import influences
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import matrix
from tests.impressions.logs import build_log, row, rows_of
from tests.test_contracts import MODES

SOFTMAX = "sim_attention"  # the mode that requires attention_weights: softmax
USERS, EACH, ITEMS = 250, 80, 60
SMALL = {"codebook_size": 8}
FILE = """\
dataset: log
versions: [blank]
modes: {{{modes}}}
controls: [{{kind: shuffled}}]
slices: [{{history_below: 12}}, {{unseen_items: true}}]
seeds: [0]
repeat_baseline: false
model: {{backbone: {backbone}, embedding_size: 4, field_embedding_size: 2, attention: [8], top: [8],
  history_length: 10, transformer_width: 8, attention_weights: {weights}}}
training: {{batch_size: 128, learning_rate: 0.01}}
"""


class Silent:
    def begin(self, what, cells, missing, impressions): ...
    def progress(self, cell, share): ...
    def retried(self, cell, reason): ...
    def finished(self, record):
        assert record.status == "done", record.reason


def coin_flips(seed=0):
    rng = np.random.default_rng(seed)
    rate = rng.beta(1.5, 3, USERS)
    user = np.repeat(np.arange(USERS), EACH)
    day = rng.integers(0, 20, len(user))
    time = 86_400 * (19_000 + day) + rng.integers(0, 7200, len(user))
    item = np.where(day > 15, rng.integers(0, ITEMS, len(user)), rng.integers(0, 50, len(user)))
    click = rng.random(len(user)) < rate[user]
    columns = (user.tolist(), item.tolist(), click.astype(int).tolist(), time.tolist())
    return [row(*one) for one in zip(*columns, strict=True)]


def workspace_of(folder, kind):
    workspace = Workspace(folder)
    build_log(workspace, coin_flips(), snapshot=Snapshot(kind))
    ids = impressions.raw_item_ids(workspace, "log")
    vectors = np.random.default_rng(1).normal(size=(len(ids), 6)).astype(np.float32)
    np.savez(folder / "blank.npz", key=np.array(ids), value=vectors)
    log = impressions.open_impressions(workspace, "log")
    embeddings.add_version(workspace, log, ids, "blank", Source(folder / "blank.npz"))
    return workspace


def run(folder, kind, backbone="din", modes=("sim_score", "vector"), weights="plain"):
    workspace = workspace_of(folder, kind)
    lines = []
    for name in modes:
        fields = plugins.load("ctrbench.injection", name, Injection).model_fields
        own = {key: value for key, value in SMALL.items() if key in fields}
        lines.append(f"{name}: {{{', '.join(f'{k}: {v}' for k, v in own.items())}}}")
    text = FILE.format(modes=", ".join(lines), backbone=backbone, weights=weights)
    file = matrix(workspace, text)
    return workspace, file, run_matrix(workspace, file, 2, False, Silent())


def deviations(workspace, file, records, key, value):
    """Return the distance of each cell's GAUC from one half, in standard errors."""
    found = {}
    for cell in file.cells():
        stored = Store(workspace).influence(cell)
        if f"{key}/gauc" in stored:
            moved = stored[f"{key}/gauc"].astype(float)
            error = np.sqrt(np.sum(moved**2))
            away = value(records[cell.hash]) - 0.5
            assert error > 0 or away == 0  # all predictions of a group are equal
            found[cell.label] = away / error if error else 0.0
    return found


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "weights", "modes"),
    [
        ("din", "plain", [name for name in MODES if name != SOFTMAX]),
        ("din", "softmax", [SOFTMAX, "sim_score"]),
        ("bst", "plain", [name for name in MODES if name != SOFTMAX]),
    ],
)
@pytest.mark.parametrize("kind", ["period", "day", "session"])
def test_gauc_of_every_mode_on_coin_flips_is_one_half(tmp_path, kind, backbone, weights, modes):
    workspace, file, records = run(tmp_path, kind, backbone, modes, weights)
    whole = deviations(workspace, file, records, "test", lambda r: r.metrics["test"].gauc)
    assert len(whole) == 1 + 2 * len(modes)
    assert max(map(abs, whole.values())) < 4.5, whole  # about 25 arms with the same users
    for part in ("history_below=12", "unseen_items"):
        found = deviations(workspace, file, records, part, lambda r, p=part: r.slices[p].gauc)
        assert len(found) == len(whole)
        assert max(map(abs, found.values())) < 4.5, found
    permuted = "permuted/test"
    found = deviations(workspace, file, records, permuted, lambda r: r.probes[permuted].gauc)
    assert len(found) == len(whole)
    assert max(map(abs, found.values())) < 4.5, found


@pytest.mark.slow
def test_bias_of_real_time_states_is_detected(tmp_path):
    workspace, file, records = run(tmp_path, "impression")
    baseline = records[file.cell(None, None, 0).hash]
    assert baseline.metrics["test"].gauc < 0.45
    assert baseline.probes["permuted/test"].gauc < 0.45
    assert baseline.probes["noise_0.2/test"].gauc > baseline.metrics["test"].gauc + 0.01
    warnings = " ".join(comparison_table(workspace, file, records).warnings)
    for part in ("Noise on the baseline's logits raises GAUC", "permuted", "below chance level"):
        assert part in warnings
    assert comparison_table(workspace, file, records).verdicts is None


@pytest.mark.parametrize("kind", ["impression", "day", "session", "period"])
def test_permuted_outcomes_equal_an_import_of_permuted_outcomes(tmp_path, kind):
    workspace = workspace_of(tmp_path, kind)
    log = impressions.open_impressions(workspace, "log")
    assert inputs_follow_outcomes(log) == (kind != "period")
    permuted = permuted_outcomes(log, np.random.default_rng(3))
    test = log.rows("test")
    assert (permuted.click[: test.start] == log.click[: test.start]).all()
    assert (permuted.click[test] != log.click[test]).mean() > 0.1
    for group in np.unique(log.group_id[test])[:50]:
        own = log.group_id[test] == group
        assert permuted.click[test][own].sum() == log.click[test][own].sum()
    outcome = {
        (words[1], words[2], words[4]): click
        for words, click in zip(rows_of(workspace), permuted.click.tolist(), strict=True)
    }
    rows = [
        r | {"click": outcome[r["user_id"], r["item_id"], r["timestamp"]]} for r in coin_flips()
    ]
    again = Workspace(tmp_path / "again")
    build_log(again, rows, snapshot=Snapshot(kind))
    other = impressions.open_impressions(again, "log")
    if kind != "period":
        np.testing.assert_array_equal(permuted.history_length, other.history_length)
        np.testing.assert_array_equal(permuted.prior_clicks, other.prior_clicks)
        np.testing.assert_array_equal(permuted.prior_impressions, other.prior_impressions)
        np.testing.assert_array_equal(permuted.history_start, other.history_start)
        np.testing.assert_array_equal(permuted.history_items, other.history_items)
    else:  # with `period`, test states contain no clicks of test
        np.testing.assert_array_equal(log.history_length, other.history_length)
        for i in range(test.start, test.stop, 97):
            here, there = (
                one.history_items[one.history_start[i] :][: one.history_length[i]]
                for one in (log, other)
            )
            np.testing.assert_array_equal(here, there)


def test_noise_lowers_the_metrics_of_a_correct_model():
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(400), 25)
    logit = rng.normal(size=len(user))
    p = 1 / (1 + np.exp(-logit))
    click = rng.random(len(user)) < p
    noisy = with_noise(p, 0.2, 0)
    assert gauc(click, noisy, user) < gauc(click, p, user)
    moved = np.log(noisy / (1 - noisy)) - logit
    assert moved.std() == pytest.approx(0.2, rel=0.03)
    assert abs(moved.mean()) < 0.01
    assert not np.array_equal(noisy, with_noise(p, 0.2, 1))
    np.testing.assert_array_equal(noisy, with_noise(p, 0.2, 0))


def test_running_click_rate_is_biased_and_a_frozen_click_rate_is_not():
    rng = np.random.default_rng(0)
    user, each = np.repeat(np.arange(2000), 20), 20
    click = (rng.random((2000, each)) < 0.5).astype(int)
    before = np.cumsum(click, axis=1) - click
    running = (before + 1) / (np.arange(each) + 2)
    assert gauc(click.ravel(), running.ravel(), user) < 0.45
    frozen = np.repeat(running[:, :1], each, axis=1)
    assert gauc(click.ravel(), frozen.ravel(), user) == 0.5
    assert influences(click.ravel(), frozen.ravel(), user)["gauc"].standard_error == 0


def test_groups_of_one_impression_have_no_gauc(tmp_path):
    workspace = workspace_of(tmp_path, "day")
    log = impressions.open_impressions(workspace, "log")
    alone = replace(log, group=np.arange(len(log.click), dtype=np.int32))
    permuted = permuted_outcomes(alone, np.random.default_rng(0))
    np.testing.assert_array_equal(permuted.click, log.click)


def test_permutation_keeps_weights_with_their_outcomes(impressions):
    weight = np.where(impressions.click == 1, 1, 7).astype(np.float32)
    log = replace(impressions, weight=weight)
    permuted = permuted_outcomes(log, np.random.default_rng(0))
    np.testing.assert_array_equal(permuted.weight, np.where(permuted.click == 1, 1, 7))
