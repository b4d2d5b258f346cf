import torch
from threadpoolctl import threadpool_info

from ctrbench.runner.cell import _one_thread


def test_every_library_computes_a_cell_on_one_thread():
    before = torch.get_num_threads()
    with _one_thread():
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
        assert any("faiss" in path for path in pools)
        assert set(pools.values()) == {1}
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before
