"""Exported folders of a small synthetic world, made once."""

import shutil

import pytest

from ctrbench.serving import export
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix

pytest.importorskip("onnxruntime", reason="pip install 'ctrbench[onnx]'")


def trained(workspace, text=SMALL, keep_models=True):
    """Train the cells of a benchmark file in this process, and return its matrix."""
    from ctrbench.runner.cell import run_cell

    made = matrix(workspace, text)
    for cell in made.cells():
        record = run_cell(workspace, cell, (), {}, lambda share: None, keep_model=keep_models)
        assert record is not None
        assert record.status == "done", record.reason
    return made


@pytest.fixture(scope="session")
def exported(made_workspace, tmp_path_factory):
    """Return the workspace, and the exported folders of two modes by name."""
    home = tmp_path_factory.mktemp("served")
    shutil.copytree(made_workspace.home, home / "home")
    workspace = Workspace(home / "home")
    trained(workspace, SMALL.replace("[oracle, random]", "[oracle]"))
    folders = {}
    for mode in ("cluster_id", "sim_score"):
        folders[mode] = home / mode
        found = export(workspace, f"taste/oracle/{mode}", folders[mode])
        assert not found.retrained
    return workspace, folders


@pytest.fixture
def world(exported, tmp_path):
    """Return a copy of the workspace with trained cells, for tests that change it."""
    shutil.copytree(exported[0].home, tmp_path / "home")
    return Workspace(tmp_path / "home")
