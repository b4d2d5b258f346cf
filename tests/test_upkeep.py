import json
import os
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from ctrbench import pack, read_matrix, upkeep
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError
from ctrbench.runner import run_matrix
from ctrbench.sealed import opened, write_sealed
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix, write

TEXT = SMALL[: SMALL.index("modes:")] + "modes: {vector: {width: 4}}\n"
TEXT += SMALL[SMALL.index("seeds:") :]
ONE, OTHER = TEXT.replace("[oracle, random]", "oracle"), TEXT.replace("[oracle, random]", "random")


class NoTraining:
    def begin(self, what, cells, missing, impressions):
        assert missing == 0

    def progress(self, cell, share): ...

    def retried(self, cell, reason): ...
    def finished(self, record): ...


@pytest.fixture(scope="module")
def trained(made_workspace, tmp_path_factory):
    """Two workspaces: the baseline is in both, each has the arm of another version."""
    homes = []
    for name, text in (("one", ONE), ("other", OTHER)):
        home = tmp_path_factory.mktemp(name) / "home"
        shutil.copytree(made_workspace.home, home)
        run_matrix(Workspace(home), matrix(Workspace(home), text))
        homes.append(home)
    return homes


@pytest.fixture
def two(trained, tmp_path):
    return [
        Workspace(shutil.copytree(home, tmp_path / name))
        for home, name in zip(trained, ("one", "other"), strict=True)
    ]


def record_of(workspace, mode):
    (path,) = workspace.results.glob(f"taste/*/{mode}/*.json")
    return path


def edit(path):
    """Change a metric and seal the record, as another machine might have written it."""
    value = json.loads(opened(path, path.read_bytes()))
    value["metrics"]["test"]["auc"] = 0.25
    write_sealed(path, value)


def test_merged_workspaces_hold_the_cells_of_both(two):
    one, other = two
    theirs = [path for path in other.results.glob("taste/*/vector/*") if path.is_file()]
    assert len(theirs) == 3
    assert upkeep.merge(one, [other]) == upkeep.Merged(1, 1, conflicts=(), problems=())
    for path in theirs:
        assert (one.results / path.relative_to(other.results)).read_bytes() == path.read_bytes()
    records = run_matrix(one, matrix(one, TEXT), observer=NoTraining())
    assert {record.cell.version for record in records.values()} == {None, "oracle", "random"}
    assert upkeep.verify(one) == upkeep.Verified(cells=3, packed=0, unsealed=0, problems=())


def test_a_conflict_is_shown_and_ours_is_kept(two):
    one, other = two
    before = record_of(one, "none").read_bytes()
    ours = Store(one).read_file(record_of(one, "none"))
    edit(record_of(other, "none"))
    value = ours.metrics["test"].value("auc")
    conflict = f"{ours.cell.label} ({ours.hash}): auc of test is {value} here, 0.25 there"
    assert upkeep.merge(one, [other]).conflicts == (conflict,)
    assert record_of(one, "none").read_bytes() == before


def test_damaged_files_are_not_copied_and_damaged_ones_here_are_replaced(two):
    one, other = two
    theirs, ours = record_of(other, "vector"), record_of(one, "none")
    influence = theirs.with_suffix(".users.npz")
    influence.unlink()
    good = record_of(other, "none").read_bytes()
    ours.write_bytes(ours.read_bytes()[:-30])
    found = upkeep.merge(one, [other])
    assert found.copied == 1
    assert ours.read_bytes() == good
    (problem,) = found.problems
    assert problem.startswith(f"{influence} is missing. ")
    assert not list(one.results.glob("taste/random/*/*.json"))


def test_every_damaged_file_is_named(two):
    one, _ = two
    damaged = [
        record_of(one, "none"),
        record_of(one, "vector").with_suffix(".parquet"),
        one.results / "taste" / "dataset.json",
    ]
    for path in damaged:
        content = bytearray(path.read_bytes())
        content[len(content) // 3] ^= 1
        path.write_bytes(content)
    problems = upkeep.verify(one).problems
    assert len(problems) == 3
    assert all(text.startswith(str(path)) for text, path in zip(problems, damaged, strict=True))


def test_records_without_a_checksum_are_counted(two):
    one, _ = two
    path = record_of(one, "none")
    value = json.loads(path.read_bytes())
    del value["checksum"]
    path.write_text(json.dumps(value))
    assert upkeep.verify(one) == upkeep.Verified(cells=2, packed=0, unsealed=1, problems=())


def test_orphans_are_listed_and_removed(two):
    one, _ = two
    assert upkeep.orphans(one) == []
    record = record_of(one, "vector")
    record.unlink()
    partial, fresh = one.data / ".partial-import", one.embeddings / "taste" / ".partial-fresh"
    unused = one.cache / "data" / ("0" * 16)
    for folder in (partial, fresh, unused):
        folder.mkdir()
    (partial / "half").write_bytes(bytes(10))
    os.utime(partial / "half", (0, 0))
    os.utime(partial, (0, 0))
    found = upkeep.orphans(one)
    assert {(orphan.path, orphan.why) for orphan in found} == {
        (unused, "its data set is no longer stored"),
        (partial, "an interrupted command left it"),
        (record.with_suffix(".parquet"), "its cell has no record"),
        (record.with_suffix(".users.npz"), "its cell has no record"),
    }
    assert next(orphan.size_bytes for orphan in found if orphan.path == partial) == 10
    upkeep.remove_orphans(found)
    assert upkeep.orphans(one) == []
    assert record_of(one, "none").exists()
    assert fresh.exists()


def links(workspace, tmp_path):
    """Replace a file beside a record by a link to another file, and add a link to a folder."""
    secret = tmp_path / "secret"
    secret.write_text("not for others")
    file = record_of(workspace, "none").with_suffix(".parquet")
    file.unlink()
    file.symlink_to(secret)
    (workspace.results / "other").symlink_to(tmp_path)
    return file


def test_links_in_a_source_are_named_and_nothing_is_copied(two, tmp_path):
    one, other = two
    before = sorted(one.results.rglob("*"))
    file = links(other, tmp_path)
    with pytest.raises(ConfigError, match="contains symbolic links") as caught:
        upkeep.merge(one, [other])
    assert str(caught.value).splitlines()[1:] == [
        f"  - {other.results / 'other'} -> {tmp_path}",
        f"  - {file} -> {tmp_path / 'secret'}",
    ]
    assert sorted(one.results.rglob("*")) == before


def test_damaged_predictions_are_not_copied(two):
    one, other = two
    predictions = record_of(other, "vector").with_suffix(".parquet")
    predictions.write_bytes(predictions.read_bytes()[:-30])
    found = upkeep.merge(one, [other])
    assert found.copied == 0
    (problem,) = found.problems
    assert problem.startswith(f"{predictions} is damaged")


def test_a_metric_that_only_one_of_them_has_is_no_conflict(two):
    one, other = two
    for workspace, name in ((one, "ndcg@5"), (other, "ndcg@9")):
        path = record_of(workspace, "none")
        value = json.loads(opened(path, path.read_bytes()))
        value["metrics"]["test"][name] = 0.5
        write_sealed(path, value)
    found = upkeep.merge(one, [other])
    assert (found.equal, found.conflicts) == (1, ())


def test_packs_are_copied_and_count_as_stored(two):
    one, other = two
    target = Path("results", "published", "p.parquet")
    read = read_matrix(write(other.home, OTHER), other)
    pack(read, other.home / target)
    packed = (other.home / target).read_bytes()
    for path in other.results.glob("taste/*/*/*"):
        path.unlink()
    assert upkeep.merge(one, [other]).problems == ()
    assert (one.home / target).read_bytes() == packed
    assert upkeep.verify(one).packed == 1
    (one.home / target).write_bytes(b"")
    (conflict,) = upkeep.merge(one, [other]).conflicts
    assert conflict == "the pack p.parquet has another content there"


def test_a_source_without_results(two, tmp_path):
    with pytest.raises(ConfigError, match="has no folder results/; give another workspace"):
        upkeep.merge(two[0], [Workspace(tmp_path / "nowhere")])


def test_commands(two):
    one, other = two

    def called(*words):
        result = CliRunner().invoke(app, ["--home", str(one.home), "results", *words])
        return result.exit_code, result.stdout.splitlines()

    assert called("verify") == (0, ["All results are intact: 2 cells."])
    assert called("gc") == (0, ["Nothing to remove."])
    copied = "Copied 1 cell; stored here with equal results: 1; with other results: 0."
    assert called("merge", str(other.home)) == (0, [copied])
    edit(record_of(other, "none"))
    code, lines = called("merge", str(other.home))
    assert (code, len(lines)) == (1, 2)
    assert lines[1].startswith("- kept ours: taste / none / none / seed 0 (")
    record_of(one, "none").write_text("{}")
    code, lines = called("verify")
    assert (code, lines[0]) == (1, "1 file damaged; 2 cells stored.")
    record_of(one, "none").unlink()
    code, lines = called("gc")
    assert code == 0
    assert lines[0].startswith("Can be removed: 2 files or folders, 0.")
    assert lines[-1] == "`ctrbench results gc --remove` removes them."
    assert called("gc", "--remove")[1][0].startswith("Removed 2 files or folders, 0.")
    assert called("gc") == (0, ["Nothing to remove."])
