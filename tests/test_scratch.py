import errno

import numpy as np
import pytest

from ctrbench.errors import StoreError
from ctrbench.scratch import IN_MEMORY, SMALL_BYTES, Scratch, rows_by_code, sections, sorted_rows


def is_file(array):
    while array is not None:
        if isinstance(array, np.memmap):
            return True
        array = getattr(array, "base", None)
    return False


def test_only_large_arrays_are_files_which_have_no_name(tmp_path):
    large = SMALL_BYTES // 8 + 1
    scratch = Scratch(tmp_path / "new")
    found = scratch.filled(large, np.float64, (np.full(large - 5, 2.0), np.arange(5)))
    assert is_file(found)
    assert list(tmp_path.rglob("*")) == [tmp_path / "new"]
    np.testing.assert_array_equal(found[-6:], [2, 0, 1, 2, 3, 4])
    assert not is_file(scratch.empty(large - 1, np.float64))
    assert not is_file(IN_MEMORY.empty(large, np.float64))


def test_a_full_disk_is_an_error_before_anything_is_written(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("os.posix_fallocate", full, raising=False)
    with pytest.raises(StoreError, match="no space left"):
        Scratch(tmp_path).empty(SMALL_BYTES + 1, np.int8)


def test_systems_that_cannot_reserve_space_write_zeros(tmp_path, monkeypatch):
    monkeypatch.delattr("os.posix_fallocate", raising=False)
    found = Scratch(tmp_path).empty(SMALL_BYTES + 3, np.int8)
    assert is_file(found)
    assert len(found) == SMALL_BYTES + 3
    assert not found[-3:].any()


def test_sections_divide_no_code(monkeypatch):
    monkeypatch.setattr("ctrbench.arrays.BLOCK_ROWS", 10)
    code = np.random.default_rng(0).integers(0, 7, 100)
    found = list(rows_by_code(sorted_rows(code)))
    np.testing.assert_array_equal(np.concatenate(found), np.argsort(code, kind="stable"))
    codes = [set(code[rows]) for rows in found]
    assert sum(map(len, codes)) == len(set.union(*codes)) == 7
    assert [len(range(100)[one]) for one in sections(np.arange(25), lambda key: key)] == [10, 10, 5]
