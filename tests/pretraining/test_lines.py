"""Lines against plain loops on a small log with ties."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from ctrbench.pretraining.lines import LineItems, make_lines, masked, redundancy
from tests.conftest import make_impressions


@pytest.fixture(scope="module")
def has_image():
    mask = np.random.default_rng(5).random(41) < 0.8
    mask[0] = False
    return mask


def items_of(lines):
    """Return the items of all lines."""
    return lines.items(np.arange(len(lines)))


def made(*arguments, **more):
    return items_of(make_lines(*arguments, **more))


def long_log(rows=200_000, users=1000, items=2000):
    """Return a log of only the pretrain period; every third impression is clicked."""
    rng = np.random.default_rng(0)
    user = rng.integers(1, users + 1, rows).astype(np.int32)
    item = rng.integers(1, items + 1, rows).astype(np.int32)
    click = (rng.random(rows) < 1 / 3).astype(np.int8)
    order = np.argsort(user, kind="stable")
    before = np.cumsum(click[order]) - click[order]  # earlier clicks in the flat history
    first = np.searchsorted(user[order], user[order])
    start, length = np.empty(rows, np.int64), np.empty(rows, np.int32)
    start[order], length[order] = before[first], before - before[first]
    log = make_impressions()
    counts = {"impressions": rows, "users": users, "items": items}
    manifest = {"periods": {"pretrain": (0, rows)}, "counts": counts}
    return dataclasses.replace(
        log,
        manifest=log.manifest.model_copy(update=manifest),
        user_id=user,
        item_id=item,
        click=click,
        history_start=start,
        history_length=length,
        history_items=item[order][click[order] == 1],
        timestamp=np.arange(rows),
    )


def by_loops(log, has_image, shown=5, history=5):
    """Return (shown, clicks, history) of every line, by user."""
    found = []
    for user in np.unique(log.user_id):
        rows = [
            i
            for i in range(log.rows("pretrain").stop)
            if log.user_id[i] == user and has_image[log.item_id[i]]
        ]
        line = []
        for place, i in enumerate(rows):
            line.append(i)
            if log.click[i] or len(line) == shown or place == len(rows) - 1:
                items = [int(log.item_id[j]) for j in line]
                first = line[0]
                before = log.history_items[log.history_start[first] :][: log.history_length[first]]
                kept = [int(k) for k in before if has_image[k] and k not in items][-history:]
                if kept:
                    found.append((items, [bool(log.click[j]) for j in line], kept))
                line = []
    return found


def test_lines_equal_the_loops(impressions, has_image):
    lines = made(impressions, has_image)
    found = [
        (
            [int(i) for i in shown if i],
            [bool(c) for c, i in zip(click, shown, strict=True) if i],
            [int(i) for i in history if i],
        )
        for shown, click, history in zip(lines.shown, lines.click, lines.history, strict=True)
    ]
    assert found == by_loops(impressions, has_image)


def test_each_click_is_a_target_at_most_once_and_its_history_is_earlier(impressions, has_image):
    log, lines = impressions, made(impressions, has_image)
    assert len(lines.target) > 20
    clicks = {
        (int(log.user_id[i]), int(log.item_id[i]), int(log.timestamp[i]))
        for i in range(log.rows("pretrain").stop)
        if log.click[i]
    }
    for user, item in zip(lines.user[lines.target_line], lines.target, strict=True):
        own = sum((user, item, moment) in clicks for moment in range(400))
        times = ((lines.user[lines.target_line] == user) & (lines.target == item)).sum()
        assert times <= own
    for line, target, earlier in zip(lines.target_line, lines.target, lines.earlier, strict=True):
        user = lines.user[line]
        moments = [m for u, i, m in clicks if u == user and i == target]
        seen = {i for u, i, m in clicks if u == user and m < max(moments)}
        assert {int(i) for i in earlier if i} <= seen - {int(target)}


def test_history_excludes_shown_items(impressions, has_image):
    lines = made(impressions, has_image)
    for shown, history in zip(lines.shown, lines.history, strict=True):
        assert not set(shown[shown > 0]) & set(history[history > 0])
        assert has_image[shown[shown > 0]].all()
        assert has_image[history[history > 0]].all()


def test_lines_do_not_depend_on_clicks_after_the_period(impressions, has_image):
    log, stop = impressions, impressions.rows("pretrain").stop
    later = log.click.copy()
    later[stop:] = 1 - later[stop:]
    rows = np.arange(len(later))
    order = np.lexsort((rows, log.user_id))
    flat, start = [], {}
    for i in order:
        start.setdefault(log.user_id[i], len(flat))
        if later[i]:
            flat.append(log.item_id[i])
    changed = dataclasses.replace(
        log,
        click=later,
        history_start=np.array([start[u] for u in log.user_id]),
        history_items=np.array(flat, np.int32),
    )
    one, two = (made(each, has_image) for each in (log, changed))
    for field in dataclasses.fields(LineItems):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(two, field.name))


def test_batch_contains_each_item_once_and_the_same_lines(impressions, has_image):
    lines = make_lines(impressions, has_image)
    chosen = np.array([1, 4, 5, 9])
    batch = lines.batch(chosen)
    every, items = items_of(lines), np.append(batch.item_id, 0)  # -1 is no item
    assert len(np.unique(batch.item_id)) == len(batch.item_id)
    np.testing.assert_array_equal(items[batch.shown.numpy()], every.shown[chosen])
    np.testing.assert_array_equal(items[batch.history.numpy()], every.history[chosen])
    own = np.isin(every.target_line, chosen)
    np.testing.assert_array_equal(items[batch.target.numpy()], every.target[own])
    np.testing.assert_array_equal(items[batch.earlier.numpy()], every.earlier[own])


def test_random_masks_repeat_targets_and_use_later_clicks(impressions, has_image):
    lines = make_lines(impressions, has_image)
    random = masked(lines, np.random.default_rng(0))
    together = [
        np.sort(np.concatenate([each.target[:, None], each.earlier], axis=1), axis=1)
        for each in map(items_of, (lines, random))
    ]
    np.testing.assert_array_equal(*together)  # the same clicks, in other roles
    shown = [
        np.sort(np.concatenate([each.shown, each.history], axis=1), axis=1)
        for each in map(items_of, (lines, random))
    ]
    np.testing.assert_array_equal(*shown)
    plain, found = redundancy(lines), redundancy(random)
    assert found["repeated_targets"] > plain["repeated_targets"]
    assert found["reversed_pairs"] > plain["reversed_pairs"]


def test_other_lengths(has_image):
    log = make_impressions(seed=3)
    assert made(log, has_image, shown=2, history=3).history.shape[1] == 3
    assert made(log, has_image, shown=2).shown.shape[1] == 2


@pytest.mark.parametrize("counted", [None, 37])
@pytest.mark.parametrize("random", [False, True])
def test_redundancy_equals_the_loops(counted, random, impressions, has_image, monkeypatch):
    monkeypatch.setattr("ctrbench.pretraining.lines.LINES_AT_ONCE", 8)  # some users at a time
    if counted:
        monkeypatch.setattr("ctrbench.pretraining.lines.COUNTED", counted)
    lines = make_lines(impressions, has_image)
    if random:
        lines = masked(lines, np.random.default_rng(0))
    every, distinct, pairs = items_of(lines), set(), []
    count = min(counted or len(every.target), len(every.target))
    for target, earlier, line in zip(every.target, every.earlier, every.target_line, strict=True):
        if count:
            count -= 1
            user = int(every.user[line])
            distinct.add((user, int(target)))
            pairs += [(user, int(target), int(item)) for item in earlier if item]
    both = sum((user, two, one) in set(pairs) for user, one, two in pairs)
    found = redundancy(lines)
    assert found["repeated_targets"] == 1 - len(distinct) / (counted or len(every.target))
    assert found["reversed_pairs"] == both / len(pairs)


def test_number_of_distinct_items(impressions, has_image, monkeypatch):
    monkeypatch.setattr("ctrbench.pretraining.lines.LINES_AT_ONCE", 7)
    lines = make_lines(impressions, has_image)
    every = items_of(lines)
    found = {*every.shown.ravel(), *every.history.ravel()} - {0}
    assert lines.distinct_items() == len(found)


def test_log_without_images_has_no_lines(impressions):
    lines = make_lines(impressions, np.zeros(41, bool))
    assert len(lines) == len(items_of(lines).target) == lines.distinct_items() == 0
    assert redundancy(lines) == {"repeated_targets": 0, "reversed_pairs": 0}


@pytest.mark.parametrize("history", [5, 50])
def test_memory_does_not_depend_on_the_history_length(history):
    log = long_log()
    has_image = np.arange(log.item_rows) > 0
    tracemalloc.start()
    lines = make_lines(log, has_image, history=history)
    masked(lines, np.random.default_rng(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak / len(log.click) < 64  # bytes of an impression
