import torch
from threadpoolctl import threadpool_info

from ctrbench.runner import cell as cells
from ctrbench.runner.cell import _one_thread, run_cell
from tests.benchmark import matrix


def test_every_library_computes_a_cell_on_one_thread():
    before = torch.get_num_threads()
    with _one_thread():
        pools = {pool["filepath"]: pool["num_threads"] for pool in threadpool_info()}
        assert any("faiss" in path for path in pools)
        assert set(pools.values()) == {1}
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_records_contain_unusual_settings(workspace, monkeypatch):
    """Records name lazy Adam if `auto` selects it, and missing compiled loops."""
    found = matrix(workspace)
    usual = run_cell(workspace, found.cell(None, None, 0), (), {}, lambda share: None)
    assert usual is not None
    assert usual.settings["training"]["table_optimizer"] == "auto"
    assert "loops" not in usual.environment
    monkeypatch.setattr("ctrbench.settings.LARGE_TABLE", 1)
    monkeypatch.setattr(cells, "load_loops", lambda: None)
    other = run_cell(workspace, found.cell(None, None, 1), (), {}, lambda share: None)
    assert other is not None
    assert other.settings["training"]["table_optimizer"] == "lazy_adam"
    assert other.environment["loops"] == "plain"
