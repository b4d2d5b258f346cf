"""One contender of every kind in an installed package is listed, validated and run."""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from ctrbench import embeddings
from ctrbench.cli.main import app
from ctrbench.embeddings.derivations import configured as derivation
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.pretraining.encoders import configured as encoder
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from tests.benchmark import write
from tests.installing import package_of

FILES = {
    ("ctrbench.injection", "brightness"): """
        from ctrbench.injection import Injected, Injection, Prepared

        class Contender(Injection):
            def prepare(self, images, slots, seed):
                return Prepared(item={"mean": images.unit().mean(axis=1, keepdims=True)})

            def inject(self, layers, batch):
                return Injected(item=batch.image_item["mean"])
        """,
    ("ctrbench.models", "summed"): """
        from ctrbench.models._base import Backbone, Reading
        from ctrbench.models._blocks import sum_rows, take

        class Contender(Backbone):
            def build(self, item_width):
                return item_width

            def build_image(self, item_width, slot_width):
                return {}, item_width or 0

            def read(self, items, injected, batch):
                def summed(values):
                    return sum_rows(
                        take(values, batch.history), batch.history_row, len(batch.target)
                    )

                images = [] if injected.item is None else [summed(injected.item)]
                return Reading(summed(items), images)
        """,
    ("ctrbench.controls", "negated"): """
        from ctrbench.controls import NullVersion

        class Contender(NullVersion):
            def vectors(self, table, seed, groups):
                return -table.vectors
        """,
    ("ctrbench.datasets", "coins"): """
        from dataclasses import dataclass
        from pathlib import Path
        from typing import Annotated

        import typer

        from ctrbench.datasets import Importer
        from ctrbench.importing import GivenVersion, Raw, Source, make_table, parse_split

        @dataclass(frozen=True)
        class Contender(Importer):
            '''Import coin flips.'''

            rows: Annotated[int, typer.Option(min=100, help="Impressions.")] = 500
            vectors: Annotated[Path | None, typer.Option(help="Vectors of coins.")] = None

            def read(self, connection, split, progress):
                rows = make_table(
                    connection,
                    "impressions",
                    "SELECT n % 7 AS user_id, n % 11 AS item_id, n % 3 = 0 AS click, "
                    f"n::BIGINT AS timestamp FROM range({self.rows}) t(n)",
                )
                given = self.vectors and GivenVersion(
                    "minted", Source(self.vectors, key="coin", value="face"), ("from the mint",)
                )
                return Raw(
                    rows,
                    "coins",
                    "heads",
                    split or parse_split("time:20/50/10/20"),
                    versions=(given,) if given else (),
                )
        """,
    ("ctrbench.embeddings.readers", "vec"): """
        import numpy as np

        from ctrbench.embeddings.readers import VectorBlock, Reader

        class Contender(Reader):
            def blocks(self, source, scratch):
                lines = [line.split() for line in source.vectors.read_text().splitlines()]
                vectors = np.array([line[1:] for line in lines], np.float32)
                yield VectorBlock([line[0] for line in lines], vectors)
        """,
    ("ctrbench.embeddings.derivations", "scaled"): """
        from pydantic import PositiveFloat

        from ctrbench.embeddings.derivations import Derivation, Fitted

        class Contender(Derivation):
            factor: PositiveFloat = 2.0

            def fit(self, rows):
                return Fitted(rows.width, lambda block: self.factor * block, {})
        """,
    ("ctrbench.pretraining.methods", "norms"): """
        from ctrbench.pretraining.methods import PretrainMethod

        class Contender(PretrainMethod):
            def layers(self, width, titles):
                return {}

            def loss(self, layers, vectors, batch, across):
                return {"norm": (vectors.norm(dim=2) - 1).square().mean() / across.count}
        """,
    ("ctrbench.pretraining.encoders", "flat"): """
        from ctrbench.pretraining.encoders import Encoder

        class Contender(Encoder):
            def build(self, width):
                from torch import nn

                return nn.Sequential(nn.Flatten(), nn.Linear(3 * self.size**2, width))
        """,
    ("ctrbench.metrics", "clicks_first"): """
        import numpy as np

        from ctrbench.metrics import Influence, Metric

        class Contender(Metric):
            title = "share of clicks in the upper half"
            judged = True
            items_each = 1

            def value(self, scored):
                return self.influence(scored).value

            def influence(self, scored):
                upper = (scored.p_click > np.median(scored.p_click)) & scored.click
                value = upper.sum() / scored.clicks
                moved = np.where(scored.click, upper - value, 0.0) / scored.clicks
                per_user = np.bincount(scored.user, moved, scored.users)
                return Influence(float(value), per_user, float(scored.users))
        """,
    ("ctrbench.reports", "count"): """
        from ctrbench.reports import Report

        class Contender(Report):
            def render(self, table):
                return f"rendered {table.dataset}\\n"
        """,
    ("ctrbench.figures", "empty"): """
        from ctrbench.figures import Figure

        class Contender(Figure):
            title = "An empty figure"

            def lacks(self, shown):
                return ""

            def draw(self, shown):
                from matplotlib.figure import Figure as Drawing

                return Drawing()

            def caption(self, shown):
                return "It shows nothing."
        """,
}
BENCHMARK = """\
dataset: taste
versions: [oracle]
modes: {brightness: {}}
seeds: [0]
controls: [{kind: negated}]
repeat_baseline: false
model: {backbone: summed, embedding_size: 4, top: [8], history_length: 10}
training: {batch_size: 256}
"""


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    code = {key: textwrap.dedent(text) for key, text in FILES.items()}
    with package_of(code, tmp_path, monkeypatch):
        yield


@pytest.fixture
def run(installed: None, workspace: Workspace):
    def invoke(*words: object) -> str:
        result = CliRunner().invoke(app, ["--home", str(workspace.home), *map(str, words)])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    return invoke


def test_every_contender_is_listed(run):
    listed = dict(line.split(": ", 1) for line in run("list").splitlines())
    names = {name for text in listed.values() for name in text.split("  (")[0].split(", ")}
    assert {name for _, name in FILES} <= names


def test_mode_model_control_report_and_figure_run_in_a_matrix(run, workspace):
    file = write(workspace.home, BENCHMARK)
    assert "3 cells: 0 stored, 3 to train." in run("plan", file)
    assert run("run", file, "--format", "count", "--no-report").endswith("rendered taste\n")
    assert "3 cells: 3 done, 0 failed, 0 missing." in run("status", file)
    run("plot", file, "--kind", "empty", "-o", workspace.home / "empty.svg")
    run("report", file, "-o", workspace.home / "report.html", "--no-pictures")
    assert "An empty figure" in (workspace.home / "report.html").read_text(encoding="utf-8")


def test_metric_is_computed_stored_and_shown(run, workspace):
    file = write(workspace.home, BENCHMARK + "headline: clicks_first\n")
    run("run", file, "--no-report")
    table = json.loads(run("tables", file, "--format", "json"))
    rows = [row for row in table["rows"] if row["metric"] == "clicks_first"]
    judged = [row for row in rows if row["comparison"] == "baseline" and row["row"] != "Baseline"]
    assert judged
    assert all(row["low_pp"] <= row["delta_pp"] <= row["high_pp"] for row in judged)
    store = Store(workspace)
    for record in store.records("taste"):
        assert 0 < record.metrics["test"].value("clicks_first") < 1
        assert "test/clicks_first" in store.influence(record.cell)


@pytest.mark.parametrize(
    ("text", "wrong"),
    [("{brightness: {}}", "{brightness: {contrast: 1}}"), ("kind: negated", "kind: negate")],
)
def test_invalid_settings_of_mode_and_control_are_errors(run, workspace, text, wrong):
    with pytest.raises(ConfigError, match=r"contrast|negate\b"):
        run("plan", write(workspace.home, BENCHMARK.replace(text, wrong)))


def test_importer_reader_and_derivation_create_a_version(run, workspace):
    run("datasets", "import", "coins", "--name", "tossed", "--rows", 700)
    vectors = workspace.home / "given.vec"
    vectors.write_text("".join(f"{item} {item + 1} 1\n" for item in range(11)))
    run("embeddings", "add", "given", "--dataset", "tossed", "--vectors", vectors)
    run(
        "embeddings",
        "derive",
        "scaled",
        "given",
        "--as",
        "wider",
        "--dataset",
        "tossed",
        "--set",
        "factor=3",
    )
    made = embeddings.open_version(workspace, "tossed", "wider").vectors
    assert sorted(made.tolist())[1:] == [[3.0 * item + 3, 3.0] for item in range(11)]


def test_importer_adds_the_versions_that_come_with_the_log(run, workspace):
    faces = np.arange(12, dtype=np.float32).reshape(6, 2) + 1
    np.savez(workspace.home / "coins.npz", coin=np.arange(6) + 7, face=faces)
    words = ("datasets", "import", "coins", "--name", "minted", "--vectors")
    output = run(*words, workspace.home / "coins.npz")
    assert "added minted of minted: 4 vectors of width 2" in output
    assert "from the mint" in output
    assert "unmatched ids: 2 of the file" in output
    assert output.rstrip().endswith("next: ctrbench datasets check minted")
    made = embeddings.open_version(workspace, "minted", "minted")
    assert sorted(made.vectors[made.has_vector].tolist()) == faces[:4].tolist()
    again = run(*words, workspace.home / "coins.npz")
    assert "already exists with the same content: minted of minted" in again


def test_method_creates_a_version_from_vectors(run, workspace):
    few = ("--set", "training.epochs=1", "--set", "training.width=8")
    run(
        "pretrain",
        "norms",
        "--dataset",
        "taste",
        "--version",
        "normed",
        "--from-version",
        "oracle",
        *few,
    )
    assert "normed" in embeddings.names(workspace, "taste")


def test_unknown_settings_of_encoder_and_derivation_are_errors(installed):
    assert encoder("flat", {"size": 8}).build(4)(torch.zeros(2, 3, 8, 8)).shape == (2, 4)
    for configured, name in ((encoder, "flat"), (derivation, "scaled")):
        with pytest.raises(ConfigError, match="depth"):
            configured(name, {"depth": 3})


def test_contenders_of_a_removed_package_are_not_listed():
    with pytest.raises(UnknownNameError):
        encoder("flat", {})
