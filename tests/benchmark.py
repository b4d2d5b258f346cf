"""A benchmark file that trains in about a second."""

from pathlib import Path

from ctrbench.matrix import read_matrix
from ctrbench.plan import Matrix
from ctrbench.workspace import Workspace

SMALL = """\
dataset: taste
versions: [oracle, random]
modes:
  vector: {width: 4}
  sim_score: {}
  cluster_id: {codebook_size: 8, width: 4}
seeds: [0]
controls: none
repeat_baseline: false
model: {embedding_size: 4, field_embedding_size: 2, attention: [8], top: [8], history_length: 10}
training: {batch_size: 256}
"""
BASELINE_ONLY = """\
dataset: taste
versions: none
seeds: 2
model: {embedding_size: 4, field_embedding_size: 2, attention: [8], top: [8], history_length: 10}
training: {batch_size: 256}
"""


def write(folder: Path, text: str = SMALL) -> Path:
    path = folder / "benchmark.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def matrix(workspace: Workspace, text: str = SMALL) -> Matrix:
    return read_matrix(write(workspace.home, text), workspace)
