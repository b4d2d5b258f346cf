"""Modes, metrics and slice rules that a notebook defines."""

import numpy as np
import pytest
from torch import nn

import ctrbench as cb
from ctrbench import plugins
from ctrbench.injection import Injected, Injection, Prepared
from ctrbench.metrics import Metric
from ctrbench.slices import SliceRule
from tests.api.test_matrices import small


@pytest.fixture(autouse=True)
def session(monkeypatch):
    """Forget what a test registers."""
    monkeypatch.setattr(plugins, "_session", {})


class Brightness(Injection):
    """The mean of a vector, times a learned weight."""

    def prepare(self, images, slots, seed):
        return Prepared(item={"mean": images.unit().mean(axis=1, keepdims=True)})

    def layers(self, prepared):
        return {"weight": nn.Linear(1, 1, bias=False)}

    def inject(self, layers, batch):
        return Injected(item=layers["weight"](batch.image_item["mean"]))


class Even(SliceRule):
    title = "even items"

    def mask(self, impressions, rows):
        return impressions.item_id[rows] % 2 == 0


def brier(power=2):
    class Brier(Metric):
        title = "Brier score"
        less_is_better = True
        needs_probabilities = True

        def value(self, scored):
            return float(np.mean(np.abs(scored.p_click - scored.click) ** power))

    return Brier


def values(matrix, metric, slice_="all"):
    table = cb.results(matrix).query("metric == @metric and period == 'test' and slice == @slice_")
    return table.set_index(["version", "mode"]).value.to_dict()


def predictions(run, version):
    from ctrbench.store import Store

    (record,) = (one for one in run.records.values() if one.cell.version == version)
    return Store(run.matrix.workspace).predictions(record.cell, "test", None)


def test_mode_of_the_session_runs_in_this_process(workspace):
    cb.register("brightness")(Brightness)
    matrix = small(workspace, modes=["brightness"])
    with pytest.raises(cb.ConfigError) as caught:
        cb.run(matrix, jobs=2, progress=False)
    assert str(caught.value) == (
        "jobs 2 is not possible with classes of this session (mode brightness): other processes "
        "cannot import them. Use jobs=1, or move them to a package with an entry point."
    )
    ran = cb.run(matrix, progress=False)  # auto: one job
    assert ran.status.done == 2
    assert small(workspace, modes=[Brightness()]).checked == matrix.checked


def test_other_modes_are_equal_in_this_process_and_in_others(workspace):
    others = cb.run(small(workspace), jobs=2, progress=False)
    before = {one.hash: one.metrics["test"].values for one in others.records.values()}
    for one in workspace.results.rglob("*.json"):
        one.unlink()
    cb.register("brightness")(Brightness)
    cb.run(small(workspace, modes=["sim_score", "brightness"]), progress=False)
    again = cb.run(small(workspace), progress=False)
    assert {one.hash: one.metrics["test"].values for one in again.records.values()} == before


def test_edited_mode_is_trained_again(workspace):
    cb.register("brightness")(Brightness)
    first = small(workspace, modes=["brightness"])

    @cb.register("brightness")
    class Edited(Brightness):
        def inject(self, layers, batch):
            return Injected(item=2 * layers["weight"](batch.image_item["mean"]))

    second = small(workspace, modes=["brightness"])
    assert [one.hash for one in first.checked.cells()] != [
        one.hash for one in second.checked.cells()
    ]
    assert Edited.revision != Brightness.revision


def test_metric_measures_stored_cells_and_changes_with_its_code(workspace):
    ran = cb.run(small(workspace), jobs=2, progress=False)
    assert "brier" not in set(cb.results(ran.matrix).metric)
    log = cb.datasets.open("taste", workspace=workspace)
    click = log.click[log.rows("test")]
    for power in (2, 4):
        cb.register("brier")(brier(power))
        found = values(ran.matrix, "brier")
        for version, mode in (("none", "none"), ("oracle", "sim_score")):
            p_click = predictions(ran, None if version == "none" else version)
            expected = np.mean(np.abs(p_click - click) ** power)
            assert found[version, mode] == pytest.approx(expected, rel=1e-6)


def test_rule_selects_impressions(workspace):
    cb.register("even")(Even)
    ran = cb.run(small(workspace, slices=[cb.Slice(rule="even")]), progress=False)
    (key,) = {key for record in ran.records.values() for key in record.slices}
    log = cb.datasets.open("taste", workspace=workspace)
    chosen = log.item_id[log.rows("test")] % 2 == 0
    for record in ran.records.values():
        assert record.slices[key].impressions == chosen.sum()
    assert "even items" in cb.render(ran.table, "text")


def test_rule_of_a_notebook_applies_to_stored_cells(workspace):
    cb.run(small(workspace), jobs=2, progress=False)
    cb.register("even")(Even)
    assert "even items" in cb.render(cb.tables(small(workspace, slices=[{"rule": "even"}])), "text")


def test_edited_rule_has_another_key():
    cb.register("even")(Even)
    first = cb.Slice(rule="even").key

    @cb.register("even")
    class Odd(SliceRule):
        title = "odd items"

        def mask(self, impressions, rows):
            return impressions.item_id[rows] % 2 == 1

    assert cb.Slice(rule="even").key != first
    assert first.startswith("rule=even@")


@pytest.mark.parametrize(
    ("returned", "what"),
    [
        (np.zeros(3, bool), "an array of bool, (3,)"),
        (np.zeros(800, int), "an array of int64, (800,)"),
        ([True], "list"),
    ],
)
def test_wrong_mask_has_a_message(workspace, returned, what):
    @cb.register("wrong")
    class Wrong(SliceRule):
        title = "wrong"

        def mask(self, impressions, rows):
            return returned

    from ctrbench.slices import mask

    log = cb.datasets.open("taste", workspace=workspace)
    with pytest.raises(cb.ContractError) as caught:
        mask(cb.Slice(rule="wrong"), log, "test", lambda name: [], np.zeros(3, bool))
    assert str(caught.value) == (
        "slice rule wrong: mask must return an array of bool, (800,), one per impression; it "
        f"returns {what}."
    )


def test_unknown_rule_is_suggested(workspace):
    cb.register("even")(Even)
    with pytest.raises(cb.ConfigError) as caught:
        small(workspace, slices=[{"rule": "evn"}])
    assert "no rule of slices 'evn'; known: even. Did you mean 'even'?" in str(caught.value)


class Unfinished(SliceRule):
    pass


KINDS = (
    "give an injection mode (Injection), a metric (Metric), a rule of slices (SliceRule), a table "
    "format (Report), a kind of figure (Figure)."
)
WRONG = {
    "a class": (dict, f"mine: class dict cannot be registered; {KINDS}"),
    "an object": (Brightness(), f"mine: a tests Brightness cannot be registered; {KINDS}"),
    "the contract": (SliceRule, f"mine: class SliceRule cannot be registered; {KINDS}"),
    "unfinished": (Unfinished, "Unfinished lacks mask, title; define it."),
}


@pytest.mark.parametrize("kind", WRONG)
def test_wrong_class_has_a_message(kind):
    contender, text = WRONG[kind]
    with pytest.raises(cb.ConfigError) as caught:
        cb.register("mine")(contender)
    assert str(caught.value) == text


@pytest.mark.parametrize("name", ["Brightness", "", "a b", Brightness])
def test_wrong_name_has_a_message(name):
    with pytest.raises(cb.ConfigError) as caught:
        cb.register(name)
    assert str(caught.value) == (
        f"name {name!r} is not valid: use small letters, digits and _, as in "
        '@ctrbench.register("brightness").'
    )


def test_built_in_names_are_refused():
    with pytest.raises(cb.ConfigError) as caught:
        cb.register("vector")(Brightness)
    assert str(caught.value) == (
        "ctrbench.injection has a contender 'vector' already; choose another name."
    )
