from dataclasses import replace

import numpy as np
import pytest

from ctrbench.batches.slots import COARSE, HistorySlots
from ctrbench.impressions import items_in_period, open_impressions, periods
from tests.impressions import logs


def slow_history(log, row, latest):
    clicks = [
        i
        for i in range(len(log.item_id))
        if log.user_id[i] == log.user_id[row]
        and log.click[i]
        and log.timestamp[i] < log.timestamp[row]
    ]
    return log.item_id[clicks][-latest:].tolist()


def test_positions_are_those_of_the_latest_earlier_clicks(slots):
    log = slots.impressions
    rows = np.array([900, 5, 1100, 300])
    positions, row, lengths = slots.positions(rows)
    for place, impression in enumerate(rows):
        expected = slow_history(log, impression, 10)
        assert log.history_items[positions[row == place]].tolist() == expected
        assert lengths[place] == len(expected)


def test_pairs_cover_every_slot_from_train_on(slots):
    log = slots.impressions
    targets, histories = [], []
    for where, target, history in slots.pairs():
        assert where.stop - where.start == len(target) == len(history)
        targets += target.tolist()
        histories += history.tolist()
    expected = [
        (log.item_id[row], item)
        for row in range(slots.first_row, len(log.item_id))
        for item in slow_history(log, row, 10)
    ]
    assert list(zip(targets, histories, strict=True)) == expected
    assert slots.total == len(expected)


def test_slots_of_shuffled_rows_match_their_histories(slots):
    log = slots.impressions
    stored = np.concatenate([history for _, _, history in slots.pairs()])
    rows = np.array([1000, 400, 777])
    positions, _, lengths = slots.positions(rows)
    assert stored[slots.slots(rows, lengths)].tolist() == log.history_items[positions].tolist()


def test_item_counts_equal_a_loop(slots):
    log = slots.impressions
    counts = np.zeros(log.item_rows, int)
    for row in range(*log.manifest.periods["train"]):
        counts[log.item_id[row]] += 1
        for item in slow_history(log, row, 10):
            counts[item] += 1
    assert slots.item_counts("train").tolist() == counts.tolist()


@pytest.mark.parametrize("chunk", [32, 96, 1 << 22])
def test_starts_are_cumulative_lengths_for_any_block_size(slots, monkeypatch, chunk):
    monkeypatch.setattr(periods, "CHUNK", chunk)
    log = slots.impressions
    rows = np.arange(slots.first_row, len(log.item_id))
    lengths = np.minimum(log.history_length[rows], slots.history_length)
    fresh = HistorySlots(log, slots.history_length)
    np.testing.assert_array_equal(fresh.starts(rows), np.cumsum(lengths) - lengths)
    assert fresh.total == lengths.sum()
    np.testing.assert_array_equal(fresh.item_counts("train"), slots.item_counts("train"))


@pytest.mark.parametrize("block", [1, 4, 1 << 21])
def test_counts_of_given_histories_equal_a_loop_for_any_block_size(workspace, monkeypatch, block):
    monkeypatch.setattr(periods, "HISTORY_BLOCK", block)
    rows = [
        logs.row(f"u{i % 3}", f"i{i % 7}", i % 2, i, history=[f"h{k}" for k in range(i % 5)])
        for i in range(40)
    ]
    logs.build_log(workspace, rows, name="given")
    log = open_impressions(workspace, "given")
    counts, known = np.zeros(log.item_rows, int), np.zeros(log.item_rows, bool)
    for place in range(*log.manifest.periods["train"]):
        start, length = log.history_start[place], log.history_length[place]
        items = log.history_items[start : start + length]
        known[[log.item_id[place], *items]] = True
        for item in [log.item_id[place], *items[-3:]]:
            counts[item] += 1
    assert HistorySlots(log, 3).item_counts("train").tolist() == counts.tolist()
    assert items_in_period(log, "train").tolist() == known.tolist()


def test_stored_values_are_equal_in_memory_and_in_a_mapped_file(slots, tmp_path):
    def blocks():
        return (1.5 * target - history for _, target, history in slots.pairs())

    mapped = replace(slots, scratch=tmp_path).stored(np.float32, blocks())
    kept = slots.stored(np.float32, blocks())
    assert isinstance(mapped, np.memmap)
    assert not isinstance(kept, np.memmap)
    assert mapped.dtype == kept.dtype == np.float32
    np.testing.assert_array_equal(mapped, kept)


def test_chunks_end_at_coarse_starts():
    assert periods.CHUNK % COARSE == 0
