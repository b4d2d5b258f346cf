from benchmarks.random_version import NAME, WIDTH, add
from ctrbench.datasets.pixelrec import PixelRec
from ctrbench.embeddings import open_version
from ctrbench.workspace import Workspace
from tests.datasets.imports import lines, run
from tests.datasets.test_pixelrec import rows


def test_every_item_has_a_vector(tmp_path):
    workspace = Workspace(tmp_path / "home")
    text = "\n".join(",".join(map(str, row)) for row in rows())
    run(workspace, PixelRec(lines(tmp_path / "a.csv", f"item_id,user_id,timestamp\n{text}")))
    add(workspace, "log")
    table = open_version(workspace, "log", NAME)
    assert table.vectors.shape == (31, WIDTH)
    assert table.has_vector[1:].all()
    add(workspace, "log")  # the same content, which is accepted
