import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner

from ctrbench.analysis.prediction_files import compare_files
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, DataError
from ctrbench.metrics import gauc
from ctrbench.stats import compare_predictions


def _frame(seed: int = 0, rows: int = 400, **changes) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    log = np.random.default_rng(9)
    columns = {
        "user_id": log.integers(0, 40, rows),
        "click": log.integers(0, 2, rows),
        "p_click": rng.uniform(0.01, 0.99, rows),
    }
    return pd.DataFrame({**columns, **changes})


@pytest.fixture
def write(tmp_path):
    def go(name: str, frame: pd.DataFrame) -> str:
        path = tmp_path / name
        if name.endswith(".csv"):
            frame.to_csv(path, index=False)
        else:
            frame.to_parquet(path)
        return str(path)

    return go


def test_files_and_arrays_give_equal_results(write):
    one, other = _frame(1), _frame(2)
    compared = compare_files(write("a.csv", one), write("b.parquet", other), "gauc")
    expected = compare_predictions(one["click"], one["user_id"], one["p_click"], other["p_click"])
    found = compared.inference
    assert (found.estimate, found.low) == pytest.approx((expected.estimate, expected.low))
    assert compared.value == pytest.approx(gauc(one["click"], one["p_click"], one["user_id"]))
    assert compared.counts.impressions == 400
    assert not compared.matched


def test_seeds_are_paired(write):
    ours, theirs = ([_frame(10 * side + s).assign(seed=s) for s in range(3)] for side in (1, 2))
    found = compare_files(
        write("a.parquet", pd.concat(ours)), write("b.parquet", pd.concat(theirs)), "auc"
    )
    assert found.inference.seeds == (0, 1, 2)


def test_gate_on_files(write):
    click = _frame()["click"]
    good = write("good.parquet", _frame(p_click=0.3 + 0.4 * click + 0.1 * _frame(1)["p_click"]))
    bad = write("bad.parquet", _frame(p_click=0.1 + 0.1 * click + 0.8 * _frame(2)["p_click"]))
    runner = CliRunner()
    for metric in ("gauc", "log_loss"):
        better = ["compare", good, bad, "--metric", metric, "--fail-on", "not-better"]
        assert runner.invoke(app, better).exit_code == 0
        worse = ["compare", bad, good, "--metric", metric, "--fail-on", "worse"]
        found = runner.invoke(app, worse)
        assert found.exit_code == 1
        assert "is worse" in found.output
        assert "accounts for user variance" in found.output
        assert "same items only" in found.output


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda f: f.iloc[:-1], "400 and 399 impressions"),
        (lambda f: f.iloc[::-1], r"user_id differs in \d+ rows \(row 1: .*; sort both"),
        (lambda f: f.assign(user_id=f["user_id"] + 1), "user_id differs in 400 rows"),
        (lambda f: f.assign(click=1 - f["click"]), "click differs in 400 rows"),
        (lambda f: f.assign(weight=2.0), "only one of them has the column weight"),
        (lambda f: f.assign(seed=3), r"their seeds are \[0\] and \[3\]"),
        (lambda f: f.assign(p_click=0.5), "p_reference of seed 0 is constant"),
        (lambda f: f.assign(p_click=np.nan), "400 .*'p_click' .*missing: row 1"),
        (lambda f: f.assign(p_click=np.inf), "'p_click' .*finite"),
        (lambda f: f.assign(p_click="x"), "'p_click' .*finite"),
        (lambda f: f.assign(weight=-1.0), "'weight' are not above 0"),
        (lambda f: f.assign(click=0.5), "'click' are neither 0 nor 1"),
        (lambda f: f.assign(seed="s1"), "'seed' are not 64-bit integers"),
        (lambda f: f.assign(seed=0.5), "'seed' are not 64-bit integers"),
        (lambda f: f.assign(click=f["click"].where(f.index > 3)), "4 .*'click' .*missing"),
        (
            lambda f: f.assign(p_click=2 * f["p_click"]),
            r"'p_click' .*\[0, 1\]",
        ),
        (lambda f: f.iloc[:0], "no rows"),
    ],
)
def test_files_with_different_impressions(write, changed, message):
    with pytest.raises(DataError, match=message):
        compare_files(
            write("a.parquet", _frame()), write("b.parquet", changed(_frame(1))), "log_loss"
        )


def test_files_that_cannot_be_read(write, tmp_path):
    good = write("a.parquet", _frame())
    with pytest.raises(ConfigError, match=r"lacks the column\(s\) p_click; it has user_id, click"):
        compare_files(good, write("b.csv", _frame().drop(columns="p_click")), "gauc")
    with pytest.raises(ConfigError, match="there is no file"):
        compare_files(good, str(tmp_path / "none.csv"), "gauc")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"PAR1")
    with pytest.raises(DataError, match="damaged or no parquet file"):
        compare_files(good, str(broken), "gauc")


def test_nan_as_text_is_not_a_prediction(tmp_path):
    path = tmp_path / "nan.csv"
    path.write_text("user_id,click,p_click\n1,1,nan\n1,0,0.1\n")
    with pytest.raises(DataError, match=r"1 .*'p_click' .*NaN: line 2"):
        compare_files(str(path), str(path), "gauc")


def test_no_evaluable_user(write):
    alone = _frame(user_id=np.arange(400))
    with pytest.raises(DataError, match="gauc is not defined here"):
        compare_files(
            write("a.parquet", alone),
            write("b.parquet", alone.assign(p_click=_frame(3)["p_click"])),
            "gauc",
        )


def test_a_single_evaluable_user_gives_no_interval(write):
    alone = _frame(user_id=np.where(np.arange(400) < 20, 0, np.arange(400)))
    other = alone.assign(p_click=_frame(3)["p_click"])
    with pytest.raises(DataError, match=r"gauc.*single user"):
        compare_files(write("a.parquet", alone), write("b.parquet", other), "gauc")


def test_an_interval_above_the_negative_margin_passes_the_gate(write):
    click = _frame()["click"]
    good = write("good.parquet", _frame(p_click=0.3 + 0.4 * click + 0.1 * _frame(1)["p_click"]))
    bad = write("bad.parquet", _frame(p_click=0.1 + 0.1 * click + 0.8 * _frame(2)["p_click"]))
    runner = CliRunner()
    for margin, code in (("0.05pp", 1), ("90pp", 0)):
        options = ["--fail-on", "worse", "--margin", margin]
        found = runner.invoke(app, ["compare", bad, good, *options])
        assert found.exit_code == code, found.output
    assert "is worse, but by less than 90 pp." in found.output


def test_a_column_of_items_widens_the_interval_and_is_named(write):
    rng = np.random.default_rng(3)
    item = rng.integers(0, 12, 400)
    error = rng.normal(0, 0.2, 12)[item]
    ours = _frame(1, item_id=item)
    ours["p_click"] = np.clip(0.5 + error + 0.02 * (ours["p_click"] - 0.5), 0.01, 0.99)
    theirs = _frame(2, item_id=item)
    found = compare_files(write("a.csv", ours), write("b.csv", theirs), "gauc").inference
    without = compare_files(
        write("c.csv", ours.drop(columns="item_id")),
        write("d.csv", theirs.drop(columns="item_id")),
        "gauc",
    ).inference
    assert found.variance.with_items
    assert not without.variance.with_items
    assert found.high - found.low > without.high - without.low
    runner = CliRunner()
    printed = runner.invoke(app, ["compare", write("a.csv", ours), write("b.csv", theirs)]).output
    assert "accounts for user and item variance" in printed
    assert "same items only" not in printed


def test_items_that_differ_are_named(write):
    one, other = _frame(1, item_id=np.arange(400)), _frame(2, item_id=np.arange(400) % 399)
    with pytest.raises(DataError, match="item_id differs in 1 row "):
        compare_files(write("a.csv", one), write("b.csv", other), "gauc")
    with pytest.raises(DataError, match="only one of them has the column item_id"):
        compare_files(write("a.csv", one), write("c.csv", _frame(2)), "gauc")


def test_groups_finer_than_users_are_compared(write):
    group = np.arange(400) // 5  # users of ten impressions each
    frames = [_frame(seed, user_id=np.arange(400) // 10, group_id=group) for seed in (1, 2)]
    compared = compare_files(write("a.csv", frames[0]), write("b.csv", frames[1]), "gauc")
    ours, theirs = (gauc(f["click"], f["p_click"], group) for f in frames)
    assert compared.inference.estimate == pytest.approx(ours - theirs)
    assert compared.reference == pytest.approx(theirs)
    assert compared.counts.users == 40
    frames[0]["group_id"] = np.arange(400) % 7
    with pytest.raises(DataError, match="group_id"):
        compare_files(write("c.csv", frames[0]), write("d.csv", frames[0]), "gauc")


def test_a_reference_below_chance_has_no_verdict(write):
    good, bad = _frame(1), _frame(1)
    good["p_click"] = 0.25 + 0.5 * good["click"]
    bad["p_click"] = 0.75 - 0.5 * bad["click"] + np.random.default_rng(0).normal(0, 0.2, len(bad))
    bad["p_click"] = bad["p_click"].clip(0, 1)
    good["p_click"] += np.random.default_rng(1).uniform(0, 0.2, len(good))
    a, b = write("a.csv", good), write("b.csv", bad)
    result = CliRunner().invoke(app, ["compare", a, b, "--fail-on", "worse"])
    assert "No verdict" in result.output
    assert result.exit_code == 1


def _with_ids(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.assign(impression_id=[f"i{row}" for row in range(len(frame))])


def test_rows_are_matched_by_their_id(write):
    one, other = _with_ids(_frame(1)), _with_ids(_frame(2))
    straight = compare_files(write("a.csv", one), write("b.csv", other), "gauc")
    moved = other.sample(frac=1, random_state=0)
    matched = compare_files(write("a.csv", one), write("c.parquet", moved), "gauc")
    assert matched.matched
    assert matched.inference.estimate == straight.inference.estimate
    seeds = [_with_ids(_frame(s)).sample(frac=1, random_state=s).assign(seed=s) for s in (3, 4)]
    file = write("d.csv", pd.concat(seeds))
    assert compare_files(file, file, "gauc").inference.estimate == 0


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda f: f.drop(columns="impression_id"), "only one .* impression_id; .*--ignore"),
        (
            lambda f: f.iloc[1:],
            r"400 and 399 impressions; 1 impression_id of the first is not .* other, such as i0;",
        ),
        (
            lambda f: f.assign(impression_id="i1"),
            "400? impression_ids|of one seed .1.,",
        ),
        (lambda f: f.assign(click=1 - f["click"]), "click differs in 400 rows"),
    ],
)
def test_ids_that_do_not_match(write, changed, message):
    one, other = _with_ids(_frame(1)), changed(_with_ids(_frame(2)))
    with pytest.raises(DataError, match=message):
        compare_files(write("a.csv", one), write("b.csv", other), "gauc")


def test_ids_are_compared_as_exact_text(write):
    """`7`, `07` and `007` are three users, and `NA` is a valid id."""
    names = np.array(["7", "07", "007", "NA", "null"])
    frames = [_frame(s, user_id=names[_frame()["user_id"] % 5]) for s in (1, 2)]
    expected = [gauc(f["click"], f["p_click"], f["user_id"].factorize()[0]) for f in frames]
    for kind in ("csv", "parquet"):
        files = [write(f"{i}.{kind}", frame) for i, frame in enumerate(frames)]
        found = compare_files(*files, "gauc").inference.estimate
        assert found == pytest.approx(expected[0] - expected[1])


def test_floats_and_integers_are_the_same_users(write):
    one, other = _frame(1), _frame(2)
    other["user_id"] = other["user_id"].astype(float)
    for kind in ("csv", "parquet"):
        compare_files(write("a.csv", one), write(f"b.{kind}", other), "gauc")
    other["user_id"] += 2.0**53
    with pytest.raises(DataError, match=r"'user_id' are floating-point numbers of 2\^53"):
        compare_files(write("a.csv", one), write("b.parquet", other), "gauc")


def test_unknown_columns(write):
    one = write("a.csv", _frame(1, weights=1.0, time=3))
    with pytest.raises(ConfigError, match=r"weights, time.*--ignore weights,"):
        compare_files(one, one, "gauc")
    assert compare_files(one, one, "gauc", ignore=("weights", "time")).inference.estimate == 0


def test_large_seeds_stay_distinct(write):
    parts = [_frame(s).assign(seed=2**60 + s) for s in range(3)]
    file = write("a.parquet", pd.concat(parts))
    assert compare_files(file, file, "gauc").inference.seeds == (0, 1, 2)
    floats = write("b.parquet", pd.concat(part.assign(seed=2.0**60) for part in parts))
    with pytest.raises(DataError, match="'seed' are not 64-bit integers"):
        compare_files(floats, floats, "gauc")


def test_an_ignored_column_that_does_not_exist(write):
    file = write("a.csv", _frame(1))
    with pytest.raises(ConfigError, match=r"no column 'wieght'.*\(--ignore\)"):
        compare_files(file, file, "gauc", ignore=("wieght",))


def test_scores_are_not_probabilities(write):
    logits = [_frame(s).assign(p_click=lambda f: 40 * (f["p_click"] - 0.5)) for s in (1, 2)]
    files = [write(f"{i}.csv", frame) for i, frame in enumerate(logits)]
    for metric in ("gauc", "auc"):
        with pytest.raises(DataError, match=r"'p_click' are outside \[0, 1\]"):
            compare_files(*files, metric)
        plain = compare_files(write("a.csv", _frame(1)), write("b.csv", _frame(2)), metric)
        scored = compare_files(*files, metric, scores=True)
        assert scored.inference.estimate == pytest.approx(plain.inference.estimate)
    with pytest.raises(ConfigError, match="log_loss requires probabilities"):
        compare_files(*files, "log_loss", scores=True)


def test_ties_are_printed(write):
    one, other = _frame(1), _frame(2)
    one["p_click"] = one["p_click"].round(1)
    file = write("a.csv", one)
    pairs = [
        (p, q)
        for _, user in one.groupby("user_id")
        for p in user["p_click"][user["click"] == 1]
        for q in user["p_click"][user["click"] == 0]
    ]
    ties = compare_files(file, write("b.csv", other), "gauc").ties
    assert ties == (pytest.approx(np.mean([p == q for p, q in pairs])), 0)
    printed = CliRunner().invoke(app, ["compare", file, write("b.csv", other)]).output
    assert "Equal predictions of a click and a non-click: 1" in printed
    assert "by the order of the files" in printed
