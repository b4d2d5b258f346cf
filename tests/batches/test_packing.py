import dataclasses

import numpy as np
import pytest
import torch

from ctrbench.batches.packing import Packer
from ctrbench.batches.slots import HistorySlots
from ctrbench.impressions import periods
from ctrbench.impressions.states import user_statistics
from ctrbench.impressions.unseen import with_unknown
from ctrbench.schema import Field
from ctrbench.seeding import stream
from ctrbench.settings import ModelSettings
from tests.batches.test_slots import slow_history

SETTINGS = ModelSettings(history_length=10)


def packer(slots, **arrays):
    return Packer(slots, SETTINGS, arrays, {})


def test_batch_holds_each_rows_target_and_history(slots):
    log, rows = slots.impressions, np.array([1000, 400, 777, 1001])
    batch = packer(slots, own=np.arange(log.item_rows)).pack(rows, None)
    item = batch.image_item["own"]  # the item id of each distinct item
    assert len(item.unique()) == len(item)
    assert item[batch.target].tolist() == log.item_id[rows].tolist()
    for place, row in enumerate(rows):
        history = item[batch.history[batch.history_row == place]]
        assert history.tolist() == slow_history(log, row, 10)


def test_id_unseen_in_train_becomes_unknown_but_keeps_its_image(slots):
    log, own = slots.impressions, packer(slots, own=np.arange(slots.impressions.item_rows))
    own.item_counts[:] = 1
    unseen = log.item_id[1000]
    own.known_id[unseen] = 0
    batch = own.pack(np.array([1000]), None)
    target = batch.target[0]
    assert batch.item_id[target] == 0
    assert batch.image_item["own"][target] == unseen


def test_fields_reach_the_right_items(slots):
    log, rows = slots.impressions, np.array([900, 950])
    batch = packer(slots, own=np.arange(log.item_rows)).pack(rows, None)
    item = batch.image_item["own"].numpy()
    assert batch.item_codes["colour"].tolist() == log.item_fields["colour"][item].tolist()
    tags, bag = log.item_fields["tags"], batch.item_codes["tags"]
    for place, one in enumerate(item):
        expected = tags.values[tags.offsets[one] : tags.offsets[one + 1]].tolist()
        assert bag.codes[bag.row == place].tolist() == expected
    ages = log.user_fields["age"][log.user_id[rows]]
    assert batch.row_codes["age"].tolist() == ages.tolist()


def test_numbers_are_standardised_by_train_and_gaps_marked(slots):
    log = slots.impressions
    batch = packer(slots, own=np.arange(log.item_rows)).pack(np.arange(240, 1200), None)
    price = log.item_fields["price"]
    shown = np.delete(np.arange(log.item_rows), [0, 3])
    item = batch.image_item["own"].numpy()
    expected = (price[item] - price[shown].mean(dtype=float)) / price[shown].std(dtype=float)
    missing = item == 3
    np.testing.assert_allclose(batch.item_numbers[~missing, 0], expected[~missing], rtol=1e-5)
    assert batch.item_numbers[missing].tolist() == [[0.0, 1.0]]


def test_user_statistics_are_length_and_share_of_earlier_clicks(slots):
    log, train = slots.impressions, slots.impressions.rows("train")
    batch = packer(slots).pack(np.array([1000]), None)
    lengths = np.log1p(log.history_length[train].astype(float))
    expected = (np.log1p(log.history_length[1000]) - lengths.mean()) / lengths.std()
    assert batch.row_numbers[0, 0].item() == np.float32(expected)
    with np.errstate(invalid="ignore"):
        share = log.prior_clicks[train] / log.prior_impressions[train]
    own = log.prior_clicks[1000] / log.prior_impressions[1000]
    expected = (own - np.nanmean(share)) / np.nanstd(share)
    assert abs(batch.row_numbers[0, 1].item() - expected) < 1e-6


def test_dropout_replaces_ids_by_unknown_and_repeats_with_the_seed(slots):
    rows = np.arange(300, 400)
    one = packer(slots).pack(rows, (0.5, stream(1, "id_dropout")))
    two = packer(slots).pack(rows, (0.5, stream(1, "id_dropout")))
    full = packer(slots).pack(rows, None)
    assert torch.equal(one.item_id, two.item_id)
    dropped = one.item_id != full.item_id
    assert 0 < dropped.sum() < len(dropped)
    assert (one.item_id[dropped] == 0).all()


def of_ages(slots, ages, absent=25):
    """Return a packer of users with these ages (user_id 0, 1, ...); `absent` is not in train."""
    log = slots.impressions
    user, train = log.user_id.copy(), log.rows("train")
    user[train][user[train] == absent] = 1
    fields = {"age": np.resize(np.array(ages, np.int32), log.user_rows)}
    fields["age"][[0, absent]] = 0, 5
    field = Field(name="age", of="user", kind="categorical", size=5)
    changed = with_field(dataclasses.replace(log, user_id=user, user_fields=fields), field)
    return changed, packer(HistorySlots(changed, 10))


def with_field(log, field):
    """Return a newly imported log with one more field."""
    manifest = log.manifest.model_copy(update={"fields": (*log.manifest.fields, field)})
    log = dataclasses.replace(log, manifest=manifest)
    manifest = manifest.model_copy(update={"unknown_codes": with_unknown(log)})
    return dataclasses.replace(log, manifest=manifest)


def shown(log, made, user, dropout=None):
    (row, *_) = np.flatnonzero(log.user_id == user)[-1:]
    return made.pack(np.array([row]), dropout).row_codes["age"].item()


def test_missing_and_unseen_values_have_different_codes(slots):
    log, made = of_ages(slots, [0, 1, 2, 3, 4])  # user 5 has no value, user 25 a unique one
    assert made.sizes.row_codes["age"] == 7
    assert [shown(log, made, user) for user in (5, 1, 4, 25)] == [0, 1, 4, 6]
    assert shown(log, made, 1, (1.0, stream(1, "id_dropout"))) == 6
    assert shown(log, made, 5, (1.0, stream(1, "id_dropout"))) == 6


def test_an_unseen_value_is_unknown_if_train_has_no_missing_values(slots):
    log, made = of_ages(slots, [1, 2, 3, 4])
    assert made.sizes.row_codes["age"] == 6
    assert [shown(log, made, user) for user in (25, 4)] == [0, 1]
    assert shown(log, made, 4, (1.0, stream(1, "id_dropout"))) == 0


def test_a_missing_value_is_unknown_if_all_values_are_seen(slots):
    age = np.arange(slots.impressions.user_rows, dtype=np.int32) % 6
    field = Field(name="age", of="user", kind="categorical", size=5)
    log = with_field(dataclasses.replace(slots.impressions, user_fields={"age": age}), field)
    made = packer(HistorySlots(log, 10))
    assert made.sizes.row_codes["age"] == 6
    assert [shown(log, made, user) for user in (6, 11)] == [0, 5]
    assert shown(log, made, 11, (1.0, stream(1, "id_dropout"))) == 0


def test_older_data_sets_keep_their_codes(slots):
    log, _ = of_ages(slots, [0, 1, 2, 3, 4])
    manifest = log.manifest.model_copy(update={"unknown_codes": ()})
    made = packer(HistorySlots(dataclasses.replace(log, manifest=manifest), 10))
    assert made.sizes.row_codes["age"] == 6
    assert [shown(log, made, user) for user in (5, 25)] == [0, 0]


def test_later_clicks_do_not_change_earlier_batches(slots):
    """A future-leak probe: the batch of an early row depends only on earlier clicks."""
    log = slots.impressions
    user = log.user_id[400]
    own = np.flatnonzero((log.user_id == user) & (log.click == 1))
    later = [rank for rank, i in enumerate(own) if log.timestamp[i] >= log.timestamp[400]]
    changed = log.history_items.copy()
    changed[log.history_start[400] + np.array(later)] = 1
    assert (changed != log.history_items).any()
    before = packer(slots, own=np.arange(log.item_rows)).pack(np.array([400]), None)
    original = log.history_items.copy()
    log.history_items[:] = changed
    after = packer(slots, own=np.arange(log.item_rows)).pack(np.array([400]), None)
    log.history_items[:] = original
    assert torch.equal(
        before.image_item["own"][before.history], after.image_item["own"][after.history]
    )


def test_constant_number_of_the_training_period_stays_small(slots):
    """Rounding noise is not a deviation: a later, different value must stay small."""
    log = slots.impressions
    length = np.full_like(log.history_length, 10)
    length[1000:] = 3
    constant = dataclasses.replace(log, history_length=length, history_start=0 * log.history_start)
    batch = packer(HistorySlots(constant, 10)).pack(np.array([500, 1100]), None)
    assert batch.row_numbers.abs().max() < 10


def test_scale_of_the_weights_has_no_effect(slots):
    log = slots.impressions
    weight = np.linspace(1, 3, len(log.click)).astype(np.float32)
    one, ten = (dataclasses.replace(log, weight=factor * weight) for factor in (1, 10))
    rows = np.arange(300, 400)
    batches = [packer(HistorySlots(some, 10)).pack(rows, None) for some in (one, ten)]
    torch.testing.assert_close(batches[0].weight, batches[1].weight)
    train = log.rows("train")
    expected = weight[rows] / weight[train].mean()
    np.testing.assert_allclose(batches[0].weight.numpy(), expected, rtol=1e-5)


@pytest.mark.parametrize("chunk", [32, 1 << 22])
def test_codes_and_scales_do_not_depend_on_the_chunk_size(slots, monkeypatch, chunk):
    monkeypatch.setattr(periods, "CHUNK", chunk)
    log = slots.impressions
    scale = Packer(slots, ModelSettings(), {}, {}).scale
    numbers = user_statistics(log, log.rows("train"))
    np.testing.assert_allclose(scale.mean, np.nanmean(numbers, axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale.deviation, np.nanstd(numbers, axis=0), rtol=1e-12)
