import pytest
from typer.testing import CliRunner

from ctrbench.cli.datasets import app
from ctrbench.errors import ConfigError, DataError, UnknownNameError
from ctrbench.impressions import names, read_manifest
from ctrbench.workspace import Workspace
from tests.datasets.test_table import csv, parquet
from tests.impressions.logs import long_log


@pytest.fixture
def workspace(tmp_path):
    return Workspace(tmp_path / "home")


@pytest.fixture
def run(workspace):
    """Call `datasets …`; the output, or the error that main() would print."""

    def invoke(*arguments, code=0):
        result = CliRunner().invoke(app, list(map(str, arguments)), obj=workspace)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result.output

    return invoke


@pytest.fixture
def log(tmp_path):
    return csv(
        tmp_path / "log.csv", [r | {"timestamp": 10**9 + r["timestamp"]} for r in long_log(hour=1)]
    )


def test_import_prints_a_summary_and_the_next_command(run, log):
    output = run("import", "table", "--impressions", log, "--name", "log")
    assert "imported as log" in output
    assert "60 with 30 clicks" in output
    test = next(line.split() for line in output.splitlines() if line.startswith("test"))
    assert test == ["test", "2001-09-09", "2001-09-09", "12", "50.00", "%", "6", "6", "7"]
    assert output.rstrip().endswith("next: ctrbench datasets check log")
    again = run("import", "table", "--impressions", log, "--name", "log")
    assert "already exists with the same content: log" in again


def test_show_and_list(run, log, workspace):
    assert "no data sets in" in run("list")
    run("import", "table", "--impressions", log, "--name", "log", "--split", "per_user:60/20/20")
    output = run("show", "log")
    for part in ("click = 1", "per_user 60/20/20 %", "leaks future popularity", "half at most 2"):
        assert part in output
    assert ["hour", "context", "categorical", "1", "100.0", "%", "0"] in map(
        str.split, output.splitlines()
    )
    assert ["log", "60", "6", "7", "0", "click"] in [
        line.split()[:6] for line in run("list").splitlines()
    ]


def test_ctr_is_weighted_where_there_are_weights(run, tmp_path):
    rows = [r | {"weight": 1 if r["click"] else 3} for r in long_log()]
    output = run("import", "table", "--impressions", csv(tmp_path / "a.csv", rows), "--name", "a")
    assert "25.00 %, weighted" in output
    test = next(line.split() for line in output.splitlines() if line.startswith("test"))
    assert test[3:6] == ["12", "25.00", "%"]
    assert "25.00 %, weighted" in run("show", "a")


def test_check_ends_with_one_where_a_guard_is_an_error(run, tmp_path):
    rows = long_log()
    good = csv(tmp_path / "good.csv", rows)
    run("import", "table", "--impressions", good, "--name", "good")
    assert "history strictly before" in run("check", "good")
    late = csv(
        tmp_path / "bad.csv", [r | {"click": int(i % 2 and i < 48)} for i, r in enumerate(rows)]
    )
    run("import", "table", "--impressions", late, "--name", "bad")
    assert "0 test users have both" in run("check", "bad", code=1)


def test_remove_requires_yes_and_keeps_versions(run, log, workspace):
    run("import", "table", "--impressions", log, "--name", "log")
    with pytest.raises(ConfigError, match="--yes"):
        run("remove", "log")
    version = workspace.embeddings / "log" / "raw"
    version.mkdir(parents=True)
    (version / "manifest.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"has embedding versions \(raw\)"):
        run("remove", "log", "--yes")
    assert names(workspace) == ["log"]
    assert (
        run("remove", "log", "--yes", "--with-embeddings") == "removed data set log and 1 version\n"
    )
    assert names(workspace) == []
    assert list(workspace.embeddings.iterdir()) == []


def test_mistakes(run, log, workspace):
    with pytest.raises(UnknownNameError, match=r"known: .*movielens.*, table"):
        run("import", "movilens")
    with pytest.raises(ConfigError, match="--name"):
        run("import", "table", "--impressions", log)
    with pytest.raises(ConfigError, match=r"\.\./x"):
        run("import", "table", "--impressions", log, "--name", "../x")
    with pytest.raises(ConfigError, match="sum to 100"):
        run("import", "table", "--impressions", log, "--name", "x", "--split", "time:1/2/3")
    with pytest.raises(DataError, match="no file"):
        run("import", "table", "--impressions", "nowhere.csv", "--name", "x")
    for command in ("show", "check", "remove"):
        with pytest.raises(UnknownNameError, match="no data set 'lag'"):
            run(command, "lag")
    assert not workspace.home.exists() or list(workspace.home.iterdir()) == []


def test_importers_are_found_by_listing(run):
    output = run("import", "--help")
    assert "movielens" in output
    assert "table" in output


def test_snapshots_are_printed_and_checked(run, tmp_path):
    rows = [
        r | {"timestamp": 10**9 + 9_000 * r["timestamp"], "visit": f"v{i // 12}", "price": 1.5 * i}
        for i, r in enumerate(long_log())
    ]
    log = ("import", "table", "--impressions", csv(tmp_path / "a.csv", rows))
    assert "period; GAUC compares impressions of one user" in run(*log, "--name", "a")
    output = run(*log, "--name", "b", "--snapshot", "session", "--snapshot-column", "visit")
    assert "session by column visit; GAUC compares impressions of one user x session" in output
    assert "own clicks before the start of the session" in output
    assert "visit" not in run("show", "b").split("content")[1]  # no input of a model
    output = run(*log, "--name", "c", "--snapshot", "impression")
    assert "impression; GAUC" in output
    assert "GAUC is biased" in run("check", "c")
    for options, error, message in (
        (("--snapshot", "hour"), ConfigError, "hour"),
        (("--snapshot-column", "visit"), ConfigError, "--snapshot session"),
        (("--snapshot", "day", "--snapshot-column", "vist"), UnknownNameError, "visit"),
        (("--snapshot", "day", "--snapshot-column", "price"), ConfigError, "--categorical price"),
    ):
        with pytest.raises(error, match=message):
            run(*log, "--name", "x", *options)


def test_a_dry_run_prints_guesses_and_imports_nothing(run, log, workspace):
    output = run("import", "table", "--impressions", log, "--dry-run", "--categorical", "hour")
    assert "separator ',' (detected)" in output
    assert "seconds since 1970" in output
    assert "2001-09-09 01:46:4" in output
    assert names(workspace) == []
    assert not workspace.cache.exists()


def test_a_dry_run_of_a_log_with_mistakes_prints_its_columns(log, workspace, capsys):
    arguments = ["import", "table", "--impressions", log, "--dry-run", "--drop", "click"]
    result = CliRunner().invoke(app, arguments, obj=workspace)
    assert isinstance(result.exception, DataError)
    assert "timestamp" in result.output


@pytest.mark.parametrize(
    ("changes", "options", "message"),
    [
        ({"click": 0}, (), "all 60 impressions are non-clicks: a CTR model requires both."),
        (
            {"raw id": 1},
            (),
            "these fields cannot be stored:\n  - field 'raw id': use letters, digits and '_', a "
            "letter first; rename it.",
        ),
        (
            {},
            ("--split", "given"),
            "a given split requires a column 'period', or files as train=FILE, test=FILE.",
        ),
    ],
)
def test_a_dry_run_fails_where_the_import_would(tmp_path, workspace, changes, options, message):
    log = csv(tmp_path / "a.csv", [r | changes for r in long_log()])
    for more in (("--dry-run",), ("--name", "log")):
        arguments = ["import", "table", "--impressions", log, *options, *more]
        result = CliRunner().invoke(app, arguments, obj=workspace)
        assert isinstance(result.exception, DataError)
        assert str(result.exception) == message


def test_a_dry_run_names_ids_folders_and_orders(run, tmp_path):
    (tmp_path / "dt=3").mkdir()
    rows = [{k: int(v) for k, v in r.items()} | {"user_id": -int(r["user_id"])} for r in long_log()]
    parquet(tmp_path / "dt=3" / "a.parquet", rows)
    output = run("import", "table", "--impressions", tmp_path, "--dry-run")
    lines = [" ".join(line.split()) for line in output.splitlines()]
    assert "dt name of a folder" in lines
    assert "user_id IDs: integers" in lines
    assert "timestamp time: numbers that only give an order guessed" in lines


def test_options_of_a_file_and_of_a_data_set(run, tmp_path, workspace):
    rows = [{"uid": r["user_id"], **r, "a": 1, "b": 2} for r in long_log()]
    log = csv(tmp_path / "a.csv", [{k: v for k, v in r.items() if k != "user_id"} for r in rows])
    (tmp_path / "m.yaml").write_text("rename: {uid: user_id}\ndrop: [a, b]\npad: 0\n")
    common = "import", "table", "--impressions", log
    run(*common, "--name", "one", "--mapping", tmp_path / "m.yaml", "--split", "time:30/30/20/20")
    run(*common, "--name", "two", "--like", "one", "--drop", "a")
    one, two = (read_manifest(workspace, name) for name in ("one", "two"))
    assert one.fields == ()
    assert [field.name for field in two.fields] == ["b"]
    assert str(two.split) == "time 30/30/20/20 %"
    assert "uid=user_id" in (workspace.data / "two" / "import.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("renam: {a: b}", r"line 1: renam.*'rename'"),
        ("seed: many", r"line 1: seed.*'many'"),
        ("impressions: a.csv", r"no option 'impressions'"),
    ],
)
def test_a_file_with_wrong_options(run, tmp_path, log, text, message):
    (tmp_path / "m.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        run("import", "table", "--impressions", log, "--mapping", tmp_path / "m.yaml")


def test_a_data_set_without_stored_options(run, log, workspace):
    run("import", "table", "--impressions", log, "--name", "log")
    (workspace.data / "log" / "import.yaml").unlink()
    with pytest.raises(ConfigError, match="--mapping"):
        run("import", "table", "--impressions", log, "--name", "b", "--like", "log")
