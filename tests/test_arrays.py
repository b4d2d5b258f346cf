import errno
import gc
import io
import threading
from pathlib import Path

import numpy as np
import pytest
import torch

from ctrbench.arrays import (
    ahead,
    blocks,
    in_threads,
    release,
    rows_within,
    save_array,
    save_tensors,
    table_blocks,
    write_npy,
)
from ctrbench.errors import DataError


def test_blocks_cover_the_range_once():
    found = [row for rows in blocks(17, 5, start=3) for row in range(rows.start, rows.stop)]
    assert found == list(range(3, 17))
    assert list(blocks(0)) == []


def test_block_contains_at_least_one_row():
    assert rows_within(1 << 40, 1 << 20) == 1
    assert [rows.stop for rows in table_blocks((3, 1 << 22))] == [1, 2, 3]


@pytest.mark.parametrize("dtype", ["<f4", "|b1", "<i8"])
def test_parts_are_converted_and_read_back(dtype):
    values, file = np.arange(12.0).reshape(6, 2), io.BytesIO()
    write_npy(file, np.dtype(dtype), (6, 2), (values[rows] for rows in blocks(6, 4)))
    file.seek(0)
    read = np.load(file)
    assert read.dtype == np.dtype(dtype)
    assert np.array_equal(read, values.astype(dtype))


def test_released_pages_keep_their_data(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5000, 4), np.float32))
    table = np.load(tmp_path / "a.npy", mmap_mode="r+")
    table[:] = 7
    release(table)
    assert (table == 7).all()
    assert (np.load(tmp_path / "a.npy") == 7).all()
    private = np.load(tmp_path / "a.npy", mmap_mode="c")
    private[0] = 1
    release(private)
    assert (private[0] == 1).all()


def doubled(parts):
    return in_threads(lambda part: 2 * part, parts)


@pytest.mark.parametrize("in_advance", [ahead, doubled])
def test_parts_keep_their_order_and_errors_reach_the_reader(in_advance):
    def parts():
        yield from range(20)
        raise DataError("the file ends here.")

    found, factor = [], 2 if in_advance is doubled else 1

    def read():
        for part in in_advance(parts()):
            found.append(part)

    with pytest.raises(DataError, match=r"^the file ends here\.$"):
        read()
    assert found == [factor * part for part in range(len(found))]
    assert len(found) >= 18  # results that were in preparation are lost with the error


def test_abandoned_parts_leave_no_thread_behind():
    before = threading.active_count()
    for part in ahead(iter(range(1000))):
        if part == 3:
            break
    gc.collect()
    assert threading.active_count() == before


@pytest.mark.parametrize("save", [save_array, save_tensors])
def test_full_disk_is_an_error_of_the_system(save):
    with pytest.raises(OSError, match="No space left") as caught:
        save(Path("/dev/full"), np.zeros(100_000) if save is save_array else torch.zeros(100_000))
    assert caught.value.errno == errno.ENOSPC


def test_array_is_written_as_by_numpy(tmp_path):
    values = np.asfortranarray(np.arange(12.0).reshape(3, 4))
    save_array(tmp_path / "ours.npy", values)
    np.save(tmp_path / "theirs.npy", values)
    assert (tmp_path / "ours.npy").read_bytes() == (tmp_path / "theirs.npy").read_bytes()


def test_tensors_are_read_back(tmp_path):
    save_tensors(tmp_path / "state.pt", {"a": torch.arange(3)})
    assert torch.load(tmp_path / "state.pt", weights_only=True)["a"].tolist() == [0, 1, 2]
