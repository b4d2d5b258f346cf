import numpy as np

from ctrbench.batches.order import sequential_batches, shuffled_batches


def test_every_row_occurs_once_for_any_sizes(monkeypatch):
    monkeypatch.setattr("ctrbench.batches.order.BLOCK_ROWS", 7)
    monkeypatch.setattr("ctrbench.batches.order.WINDOW_BLOCKS", 3)
    batches = list(shuffled_batches(slice(5, 138), 16, seed=1, epoch=0))
    assert sorted(np.concatenate(batches)) == list(range(5, 138))
    assert [len(batch) for batch in batches] == [16] * 8 + [5]


def test_same_seed_same_order_and_each_epoch_its_own():
    def order(seed, epoch):
        return np.concatenate(list(shuffled_batches(slice(0, 999), 100, seed, epoch))).tolist()

    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_sequential_batches_keep_stored_order():
    batches = [batch.tolist() for batch in sequential_batches(slice(3, 8), 2)]
    assert batches == [[3, 4], [5, 6], [7]]
