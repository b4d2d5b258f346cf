"""Every command that prints data prints the same numbers as JSON and as text."""

import json
import re
import shutil

import pytest
from typer.testing import CliRunner

from ctrbench.cli.main import app
from ctrbench.errors import ConfigError
from ctrbench.runner import run_matrix
from ctrbench.workspace import Workspace
from tests.benchmark import SMALL, matrix, write
from tests.runner.test_run import Watcher

TWO = SMALL.replace("seeds: [0]", "seeds: [0, 1]").replace("size: 8", "size: [4, 8]")


@pytest.fixture(scope="module")
def trained(made_workspace, tmp_path_factory) -> Workspace:
    home = tmp_path_factory.mktemp("json") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = Workspace(home)
    run_matrix(workspace, matrix(workspace, TWO), 1, False, Watcher(), traced=True)
    return workspace


@pytest.fixture
def both(trained, monkeypatch):
    """Gives what a command prints as text, and its value as JSON."""
    monkeypatch.setenv("COLUMNS", "300")
    file = str(write(trained.home, TWO))

    def call(*words: str):
        given = [file if word == "FILE" else word for word in words]
        outputs = []
        for more in ([], ["--json"]):
            result = CliRunner().invoke(app, ["--home", str(trained.home), *given, *more])
            if result.exception and not isinstance(result.exception, SystemExit):
                raise result.exception
            outputs.append(result.stdout)
        return outputs[0], json.loads(outputs[1], parse_constant=pytest.fail)

    return call


def pp(fraction: float) -> str:
    return f"{100 * fraction:+.2f}"


def test_list(both):
    text, found = both("list")
    assert f"modes: {', '.join(found['modes'])}  ({found['baseline']}" in text
    for kind, names in found["contenders"].items():
        assert f"{kind}: {', '.join(names) or 'none yet'}\n" in text
    assert f"versions of taste: {', '.join(found['versions']['taste'])}" in text


def test_advice(both, monkeypatch):
    monkeypatch.setattr("ctrbench.advising.traits.FEWEST_USERS", 30)
    text, found = both("advise", "taste", "--version", "oracle")
    for one in found["modes"]:
        shown = (f"{one[name]:+.2f}" for name in ("gain_pp", "low_pp", "high_pp"))
        assert re.search(rf"  {re.escape(one['mode'])} +{' +'.join(map(re.escape, shown))}", text)
    for one in found["sizes"]:
        assert re.search(rf"  {one['size']:,} +{re.escape(format(one['gain_pp'], '+.2f'))}", text)
    assert found["matrix"] in text
    assert f"{found['traits']['sim_auc']:.4f}" in text


def test_data_sets(both):
    text, (found,) = both("datasets", "list")
    assert re.search(rf"taste +{found['counts']['impressions']:,} ", text)
    text, found = both("datasets", "show", "taste")
    assert f"{100 * found['summary']['ctr']:.2f} %" in text
    for period in found["summary"]["periods"]:
        assert re.search(rf"{period['name']} .* {period['impressions']:,} ", text)
    text, found = both("datasets", "check", "taste")
    assert len(text.splitlines()) >= len(found)
    assert all(guard["outcome"] in text and guard["name"] in text for guard in found)


def test_versions(both):
    text, found = both("embeddings", "list")
    assert len(text.splitlines()) == 1 + len(found)
    text, found = both("embeddings", "show", "oracle", "--dataset", "taste")
    assert f"{found['statistics']['items_with_vector']:,} of width" in text
    assert f"{found['quality']['sim_auc']:.4f}" in text
    text, found = both("embeddings", "quality", "oracle", "random", "--dataset", "taste")
    for line, version in zip(text.splitlines()[1:], found["versions"], strict=False):
        quality = version["quality"]
        assert line.startswith(version["version"])
        assert f" {quality['sim_gauc']:.4f} " in line
        assert f" {quality['uniformity']:.2f} " in line
    assert f"{100 * found['overlaps'][0]['share']:.1f} %" in text
    _, found = both("embeddings", "check", "oracle", "--dataset", "taste")
    assert {guard["outcome"] for guard in found} <= {"ok", "warning"}


def test_plan_and_status(both):
    text, found = both("plan", "FILE")
    status = found["status"]
    assert f"{status['cells']} cells: {status['cells']} stored, 0 to train." in text
    assert found["expected"] is None
    text, found = both("status", "FILE")
    assert f"{found['done']} done, {found['failed']} failed, {found['missing']} missing" in text
    assert {"row": "oracle", "column": "vector", "seeds": 2, "done": 2, "failed": 0} in found[
        "places"
    ]


def test_tables_and_run(both):
    text, found = both("tables", "FILE", "--full")
    entry = next(row for row in found["rows"] if row["row"] == "oracle")
    assert f"{entry['delta_pp']:+.2f} [{entry['low_pp']:+.2f}, {entry['high_pp']:+.2f}]" in text
    assert both("run", "FILE", "--full") == (text, found)
    brief, _ = both("tables", "FILE")
    assert brief.splitlines()[: len(found["answer"])] == found["answer"]
    assert len(found["answer"]) <= 6


def test_comparisons(both):
    text, found = both("compare", "oracle/vector", "none", "--file", "FILE")
    compared = found["compared"]
    assert f"{100 * compared['inference']['estimate']:+.3f} pp" in text
    assert f"({compared['value']:.4f} and {compared['reference']:.4f})" in text
    assert found["margin"] == pytest.approx(0.0005)
    text, found = both("power", "FILE", "--effect", "30pp")
    assert f"To detect {100 * found['effect']:g} pp" in text
    for one, line in zip(found["comparisons"], text.splitlines()[1:], strict=True):
        names = one["comparison"]
        assert f"- {names['row']} / {names['column']} against {names['against']}: " in line
        need = one["need"]
        shown = f"{need['users']:.2f} times" if need["users"] > 1 else f": {need['seeds']} seeds"
        assert shown in line or need["seeds"] is None


def test_curves_costs_and_traces(both):
    text, found = both("curve", "FILE")
    for curve in found["curves"]:
        assert f"{curve['curve']}, delta of GAUC" in text
        for point in curve["points"]:
            assert f"codebook_size {point['value']:g}: {pp(point['gain']['estimate'])} [" in text
    text, found = both("cost", "FILE")
    for arm in found["arms"]:
        assert f"{arm['cost']['request_bytes']:,}" in text
        assert arm["gain"] is None or pp(arm["gain"]["estimate"]) in text
    text, found = both("explain", "taste/oracle/vector/0")
    assert f"{found['trace']['points'][-1]['loss']:.4f} at the end" in text
    for part, share in found["half_way"].items():
        assert f"{part} {share:.0%}" in text


def test_codebooks(both):
    text, found = both("codebook", "oracle", "--dataset", "taste", "--size", "4,8", "--seeds", "2")
    for one in found["sizes"]:
        assert f"{one['facts']['entropy_bits']:.2f} bits" in text
        assert f"{one['facts']['rand']:.3f}" in text


def test_two_formats_at_once(both):
    with pytest.raises(ConfigError, match="--format csv"):
        both("tables", "FILE", "--format", "csv")
