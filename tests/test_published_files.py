"""The files below benchmarks/ are valid, and claims name arms of the matrices."""

from pathlib import Path

import pytest

from benchmarks.courier.page import CLAIMS
from ctrbench.benchmark_file import read_benchmark
from ctrbench.injection import Injection, load_mode

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
FILES = sorted(FOLDER.rglob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).as_posix())
def test_benchmark_file(path):
    for name in read_benchmark(path).modes:
        assert isinstance(load_mode(name, {}), Injection)


def test_results_are_few_and_small():
    results = FOLDER.parent / "results"
    folders = ("published", "tables", "figures")
    sizes = [path.stat().st_size for name in folders for path in (results / name).iterdir()]
    assert len(sizes) <= 60
    assert sum(sizes) <= 10e6


def test_claims_compare_arms_of_the_matrices():
    for claim in CLAIMS:
        for name, pairs in claim.pairs.items():
            file = read_benchmark(FOLDER / "courier" / f"{name}.yaml")
            for arm in (arm for pair in pairs for arm in pair):
                version, _, mode = arm.partition("/")
                assert version in file.versions
                assert mode in file.modes
