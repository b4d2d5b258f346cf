"""A matrix from Python: equal to that of a file, run, and read as tidy tables."""

import shutil

import numpy as np
import pandas as pd
import pytest

import ctrbench as cb
from ctrbench.injection import load_mode
from tests.benchmark import SMALL, write

MODEL = {
    "embedding_size": 4,
    "field_embedding_size": 2,
    "attention": [8],
    "top": [8],
    "history_length": 10,
}
SETTINGS = {"controls": "none", "repeat_baseline": False, "model": MODEL}


def small(workspace, **changes):
    given = {"versions": ["oracle"], "modes": ["sim_score"], "seeds": 1} | SETTINGS | changes
    training = {"batch_size": 256}
    return cb.Matrix("taste", training=training, workspace=workspace, **given)


def test_matrix_equals_that_of_its_file(workspace):
    modes = {"vector": {"width": 4}, "sim_score": {}, "cluster_id": {"codebook_size": 8}}
    modes["cluster_id"]["width"] = 4
    matrix = small(workspace, versions=["oracle", "random"], modes=modes, seeds=(0,))
    of_file = cb.read_matrix(write(workspace.home, SMALL), workspace)
    assert matrix.checked == of_file.checked
    assert repr(matrix) == (
        "Matrix('taste', versions=['oracle', 'random'], modes=['vector', 'sim_score', "
        "'cluster_id'], seeds=[0]: 7 cells)"
    )


def test_modes_are_names_classes_or_settings(workspace):
    by_name = small(workspace, modes={"vector": {"width": 4}, "sim_score": {}})
    objects = [load_mode("vector", {"width": 4}), "sim_score"]
    assert small(workspace, modes=objects).checked == by_name.checked
    with pytest.raises(cb.ConfigError) as caught:
        small(workspace, modes=["sim_score", load_mode("sim_score", {})])
    assert str(caught.value) == "mode sim_score is given twice; give a setting a list of values."


def test_slices_are_objects_or_settings(workspace):
    as_dict = small(workspace, slices=[{"unseen_items": True}])
    assert small(workspace, slices=[cb.Slice(unseen_items=True)]).checked == as_dict.checked


def test_mistakes_are_listed_without_lines(workspace):
    with pytest.raises(cb.ConfigError) as caught:
        small(workspace, versions=["orcle"], modes=["sim_score"], headline="gacu")
    assert str(caught.value).splitlines()[0] == "the matrix of 'taste' has 1 mistake(s):"
    assert "Did you mean 'gauc'?" in str(caught.value)
    with pytest.raises(cb.ConfigError) as caught:
        small(workspace, versions=["orcle", np.str_("oracle")], modes=["sim_scor"])
    first, *others = str(caught.value).splitlines()
    assert first == "the matrix of 'taste' has 2 mistake(s):"
    assert all(text in "".join(others) for text in ("'sim_score'?", "'oracle'?"))


@pytest.fixture(scope="module")
def ran(made_workspace, tmp_path_factory):
    home = tmp_path_factory.mktemp("ran") / "home"
    shutil.copytree(made_workspace.home, home)
    workspace = cb.Workspace(home)
    return cb.run(small(workspace, seeds=2, slices=[{"history_below": 3}]), jobs=2, progress=False)


def test_results_have_a_row_per_cell_and_metric(ran):
    table = cb.results(ran.matrix)
    assert len(table) == sum(
        len(metrics.values)
        for record in ran.records.values()
        for metrics in [*record.metrics.values(), *record.slices.values()]
    )
    for record in ran.records.values():
        own = table[(table.hash == record.hash) & (table.metric == "gauc")]
        values = own.set_index(["period", "slice"]).value
        assert values["test", "all"] == record.metrics["test"].value("gauc")
        assert values["valid", "all"] == record.metrics["valid"].value("gauc")
        assert values["test", "history_below=3"] == record.slices["history_below=3"].value("gauc")
        assert set(own.seed) == {record.cell.seed}
    assert set(table.version) == {"none", "oracle"}
    assert str(table.finished.dtype).startswith("datetime64[")
    pd.testing.assert_frame_equal(
        table.sort_values([*table.columns[:-1]]).reset_index(drop=True),
        cb.results(ran.matrix.workspace).sort_values([*table.columns[:-1]]).reset_index(drop=True),
        check_dtype=False,
    )
    assert cb.results(ran.matrix.workspace, dataset="other").empty


def test_deltas_as_a_table_are_paired_differences(ran):
    values = cb.results(ran.matrix).query(
        "metric == 'gauc' and period == 'test' and slice == 'all'"
    )
    by_arm = values.pivot(index="seed", columns="version", values="value")
    expected = 100 * (by_arm["oracle"] - by_arm["none"]).mean()
    rows = cb.frame(ran.table).query(
        "metric == 'gauc' and slice == '' and row == 'oracle' and comparison == 'baseline'"
    )
    assert rows.delta_pp.item() == pytest.approx(expected)


def test_notebook_shows_tables(ran):
    html = ran._repr_html_()
    assert html.count("<table>") == 1
    assert "GAUC, delta against the baseline, pp" in html
    assert html == cb.tables(ran.matrix)._repr_html_()
    status = ran.matrix._repr_html_()
    assert "4 cells: 4 done, 0 failed, 0 missing." in status
    assert "<td" in status
    decision = cb.compare(
        "taste/oracle/sim_score", "taste/none/none", workspace=ran.matrix.workspace
    )
    assert "taste/oracle/sim_score against taste/none/none" in decision._repr_html_()


def test_predictions_in_memory_equal_those_of_files(tmp_path):
    rng = np.random.default_rng(0)
    one = pd.DataFrame({"user_id": rng.integers(0, 9, 300), "click": rng.integers(0, 2, 300)})
    one["p_click"] = rng.random(300)
    two = one.assign(p_click=rng.random(300))
    one.to_parquet(tmp_path / "a.parquet")
    two.to_parquet(tmp_path / "b.parquet")
    files = cb.compare(str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet"))
    in_memory = cb.compare(one, two)
    assert in_memory.compared.inference == files.compared.inference
    assert in_memory.compared.a == "a (a pandas DataFrame)"


def test_figures_are_objects(ran, tmp_path):
    figure = cb.plot(ran.matrix, "heatmap")
    assert type(figure.figure).__name__ == "Figure"
    assert figure._repr_svg_().startswith("<svg ")
    figure.save(tmp_path / "a.png")
    assert (tmp_path / "a.png").stat().st_size
    with pytest.raises(cb.ConfigError) as caught:
        figure.save(tmp_path / "a.gif")
    assert str(caught.value) == f"{tmp_path / 'a.gif'}: a figure ends in .png, .svg, .pdf."
    with pytest.raises(cb.ConfigError) as caught:
        cb.draw(ran.table)
    assert str(caught.value) == (
        "a ctrbench ComparisonTable has no figure; give a result of cost, curve, history or "
        "explain."
    )


def test_only_a_table_is_a_frame():
    with pytest.raises(cb.ConfigError) as caught:
        cb.frame(pd.DataFrame())
    assert str(caught.value) == (
        "table is a pandas DataFrame; give the table of a run, or the result of "
        "ctrbench.tables(matrix)."
    )


def test_one_tracker_is_named_by_text(workspace):
    with pytest.raises(cb.UnknownNameError) as caught:
        cb.run(small(workspace), track="mlflo", progress=False)
    assert str(caught.value) == (
        "no tracker 'mlflo'; known: mlflow, tensorboard, wandb. Did you mean 'mlflow'?"
    )


def test_results_of_a_folder_that_does_not_exist(tmp_path):
    with pytest.raises(cb.ConfigError) as caught:
        cb.results(tmp_path / "nowhere")
    assert str(caught.value) == (
        f"there is no folder {tmp_path / 'nowhere'}; give the folder of a workspace."
    )
    assert cb.results(tmp_path).empty
