import numpy as np
import pytest

from ctrbench import embeddings, impressions
from ctrbench.errors import ConfigError
from ctrbench.injection import mode_names, usable_modes
from ctrbench.plan import MOST_CELLS
from ctrbench.settings import ModelSettings
from tests.benchmark import BASELINE_ONLY, SMALL, matrix


def test_cells_are_baselines_and_the_product_of_rows_columns_and_seeds(workspace):
    text = SMALL.replace("[0]", "[0, 7]").replace("size: 8", "size: [4, 8]")
    controls = "controls: [{kind: shuffled, versions: [oracle]}]"
    made = matrix(workspace, text.replace("controls: none", controls))
    cells = list(made.cells())
    assert len(cells) == 2 * (1 + 3 * 4)
    assert len({cell.hash for cell in cells}) == len(cells)
    assert [cell.mode for cell in cells].count("none") == 2
    assert [row.label for row in made.rows] == ["oracle", "random", "oracle@shuffled"]
    assert [column.label for column in made.columns][2:] == [
        "cluster_id codebook_size=4",
        "cluster_id codebook_size=8",
    ]


def test_every_training_of_a_grid_has_its_own_baseline(workspace):
    made = matrix(workspace, SMALL.replace("batch_size: 256", "batch_size: 256, epochs: [1, 2]"))
    labels = [column.label for column in made.columns]
    assert labels[:2] == ["vector epochs=1", "vector epochs=2"]
    one, two = (made.cell(None, column, 0) for column in made.columns[:2])
    assert (one.mode, one.version, one.training.get("epochs", 1)) == ("none", None, 1)
    assert (two.mode, two.version, two.training["epochs"]) == ("none", None, 2)
    assert one == made.cell(None, None, 0) == matrix(workspace).cell(None, None, 0)
    cells = list(made.cells())
    assert [cell.mode for cell in cells].count("none") == 2
    assert len({cell.hash for cell in cells}) == len(cells) == 2 + 2 * len(labels)


def test_versions_all_means_those_of_the_workspace(workspace):
    without_codes = SMALL.replace("  cluster_id: {codebook_size: 8, width: 4}\n", "")
    made = matrix(workspace, without_codes.replace("[oracle, random]", "all"))
    assert [row.label for row in made.rows] == embeddings.names(workspace, "taste")
    assert set(made.file.versions) == set(made.versions)


def test_modes_all_means_those_that_suit_the_model(workspace):
    every = [name for name in mode_names() if name != "none"]
    assert usable_modes(ModelSettings(attention_weights="softmax")) == every
    assert usable_modes(ModelSettings()) == [name for name in every if name != "sim_attention"]
    text = SMALL[: SMALL.index("modes:")] + "modes: all\n" + SMALL[SMALL.index("seeds:") :]
    with pytest.raises(ConfigError) as caught:
        matrix(workspace, text.replace("[oracle, random]", "oracle"))
    refused = [line.split()[3] for line in str(caught.value).splitlines()[1:]]
    assert refused == ["modes.cluster_id", "modes.product_id", "modes.residual_id"]  # 40 vectors


def test_versions_none_trains_the_baseline_only(workspace):
    made, usual = matrix(workspace, BASELINE_ONLY), matrix(workspace)
    assert not made.rows
    cells = list(made.cells())
    assert [(cell.mode, cell.version, cell.seed, cell.repeat) for cell in cells] == [
        ("none", None, 0, 0),
        ("none", None, 1, 0),
        ("none", None, 0, 1),
    ]
    assert cells[0].hash == usual.cell(None, None, 0).hash


def test_versions_none_has_no_modes(workspace):
    text = BASELINE_ONLY + "modes: [vector]\ntune: {learning_rate_factor: [1, 2]}\n"
    with pytest.raises(ConfigError) as caught:
        matrix(workspace, text)
    assert str(caught.value).split("mistake(s):\n")[1].splitlines() == [
        "  - line 6: modes: `versions: none` trains the baseline only; remove 'vector'",
    ]
    with pytest.raises(ConfigError) as caught:
        matrix(workspace, text.replace("modes: [vector]\n", ""))
    assert str(caught.value).split("mistake(s):\n")[1].splitlines() == [
        "  - line 6: tune.learning_rate_factor: the baseline has no image block; remove this line",
    ]


def test_every_version_has_a_shuffled_sibling_by_default(workspace):
    made = matrix(workspace, SMALL.replace("controls: none\n", ""))
    assert [row.label for row in made.rows] == [
        "oracle",
        "random",
        "oracle@shuffled",
        "random@shuffled",
    ]
    assert [row.label for row in matrix(workspace).rows] == ["oracle", "random"]


def test_baseline_does_not_depend_on_the_versions(workspace):
    one = matrix(workspace)
    two = matrix(workspace, SMALL.replace("[oracle, random]", "[noisy_0.5]"))
    assert one.cell(None, None, 0).hash == two.cell(None, None, 0).hash


def test_test_period_without_clicks_is_a_mistake(workspace):
    log = impressions.open_impressions(workspace, "taste")
    path = workspace.cache / "data" / log.manifest.content_hash / "impressions.click.npy"
    click = np.load(path)
    click[log.rows("test")] = 0
    np.save(path, click)
    with pytest.raises(ConfigError, match=r"dataset: all 800 impressions of test are non-clicks"):
        matrix(workspace)


@pytest.mark.parametrize(
    "change",
    [
        ("seeds: [0]", "seeds: [1]"),
        ("batch_size: 256", "batch_size: 128"),
        ("embedding_size: 4", "embedding_size: 8"),
        ("attention: [8]", "attention: [8, 8]"),
    ],
)
def test_hash_depends_on_every_setting_that_changes_the_result(workspace, change):
    before = {cell.hash for cell in matrix(workspace).cells()}
    after = {cell.hash for cell in matrix(workspace, SMALL.replace(*change)).cells()}
    assert not before & after


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("dataset: taste", "dataset: tast"),
            r"no data set 'tast'.*Did you mean 'taste'\?.*import",
        ),
        (("[oracle,", "[orcle,"), r"no embedding version 'orcle'.*Did you mean 'oracle'\?.*add"),
        (("sim_score", "simscore"), r"no mode 'simscore'.*Did you mean 'sim_score'\?"),
        (("vector: {width", "vector: {widht"), r"modes.vector: no setting 'widht'.*mean 'width'\?"),
        (
            ("vector: {width: 4", "vector: {width: wide"),
            r"modes.vector.width: must be a whole number \(given: 'wide'\)",
        ),
        (("size: 8", "size: []"), r"modes.cluster_id.codebook_size: .*empty"),
        (("size: 8", "size: [8, 8]"), r"modes.cluster_id.codebook_size: 8 .* 2 "),
        (
            ("controls: none", "controls: [{kind: random}, {kind: random}]"),
            r"controls: 'oracle@random' .* 2 ",
        ),
        (
            ("seeds: [0]", "tune: {versions: [orcle]}\nseeds: [0]"),
            r"tune.versions: no version 'orcle'.*Did you mean 'oracle'",
        ),
        (("size: 8", "size: 5000"), r"cluster_id on version 'oracle': codebook_size 5000 exceeds"),
        (("seeds: [0]", "seeds: [0, 0]"), r"seeds: 0 .* 2 "),
        (("vector: {width: 4}", "none: {}"), r"modes: .*'none'"),
        (("top: [8]", "fields: [categry]"), r"model.fields: no field 'categry'.*mean 'category'"),
        (("controls: none", "controls: [{kind: shufled}]"), r"no control 'shufled'"),
        (
            ("controls: none", "controls: [{kind: shuffled, within: categry}]"),
            r"no categorical item field 'categry'",
        ),
        (
            ("controls: none", "controls: [{kind: random, within: category}]"),
            r"controls: 'random'.*'within'",
        ),
        (
            ("controls: none", "controls: [{kind: random, versions: [noisy]}]"),
            r"controls: no version 'noisy'",
        ),
        (
            ("seeds: [0]", "slices: [{field: category, value: categry-1}]\nseeds: [0]"),
            r"category-1",
        ),
        (
            ("batch_size: 256", "batch_size: 256, warm_start: 0.95"),
            r"100 of 2,000 .*batch of 256",
        ),
        (("batch_size: 256", "batch_size: 2001"), r"batch_size 2,001 exceeds the 2,000 training"),
        (
            ("seeds: [0]", "seeds: [0]\ntune: {batch_size: [64, 2001]}"),
            r"tune.batch_size 2,001 exceeds",
        ),
        (("dataset: taste", 'dataset: "a\\0b"'), r"data set name 'a.x00b'"),
        (("[oracle,", "['',"), r"embedding version name ''"),
        (("top: [8]", "fields: [category, category]"), r"model.fields: 'category' .* 2"),
        (("seeds: [0]", "seeds: [0]\nscreen: {mode: sim_scor}"), r"screen.mode: no mode of the fi"),
        (("seeds: [0]", "seeds: [0]\nscreen: {seeds: [1, 1]}"), r"screen.seeds: 1 .* 2"),
        (("seeds: [0]", "seeds: [0]\ntune: {seeds: [1, 1]}"), r"tune.seeds: 1 .* 2"),
        (
            ("width: 4}\n  sim", "width: true}\n  sim"),
            r"modes.vector.width: must be a whole number",
        ),
        (("batch_size: 256", "device: abacus"), r"training.device: 'abacus' cannot be used here"),
    ],
)
def test_mistake_is_reported_before_any_cell_runs(workspace, change, message):
    with pytest.raises(ConfigError, match=message):
        matrix(workspace, SMALL.replace(*change))


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (("vector: {width: 4}", "vector: {width: 0}"), "vector:"),
        (("sim_score", "simscore"), "simscore"),
        (("[oracle,", "[orcle,"), "versions:"),
        (("embedding_size: 4", "embedding_size: 4, fields: [styel]"), "model:"),
    ],
)
def test_mistake_that_requires_the_workspace_has_its_line(workspace, change, key):
    text = SMALL.replace(*change)
    assert text != SMALL
    number = next(row for row, line in enumerate(text.splitlines(), 1) if key in line)
    with pytest.raises(ConfigError, match=rf"\n  - line {number}: (modes|versions|model)"):
        matrix(workspace, text)


def test_size_of_a_grid_is_checked_before_it_is_expanded(workspace):
    hundreds = list(range(1, 301))
    text = SMALL.replace("batch_size: 256", f"batch_size: {hundreds}, epochs: {hundreds}")
    with pytest.raises(ConfigError, match=r"line \d+: training: lists span 90,000 trainings"):
        matrix(workspace, text)
    grid = f"{{width: {hundreds}, learning_rate_factor: {hundreds}}}"
    with pytest.raises(ConfigError, match=r"line \d+: modes.vector: lists span 90,000 columns"):
        matrix(workspace, SMALL.replace("vector: {width: 4}", f"vector: {grid}"))


def test_number_of_cells_is_limited(workspace):
    # two versions, three modes and the baseline: 7 cells per seed
    seeds = MOST_CELLS // 7
    assert len(list(matrix(workspace, _with_seeds(seeds)).cells())) == 7 * seeds
    with pytest.raises(ConfigError, match=rf"lists span {7 * seeds + 7:,} cells, .* at most 5,000"):
        matrix(workspace, _with_seeds(seeds + 1))


def _with_seeds(count):
    return SMALL.replace("seeds: [0]", f"seeds: {list(range(count))}")


def test_all_mistakes_are_listed(workspace):
    text = SMALL.replace("sim_score", "simscore").replace("[oracle,", "[orcle,")
    with pytest.raises(ConfigError, match=r"(?s)has 2 mistake\(s\):.*simscore.*orcle"):
        matrix(workspace, text)


def test_version_of_another_data_set_is_a_mistake(workspace):
    path = workspace.embeddings / "taste" / "oracle" / "manifest.json"
    items_hash = embeddings.read_manifest(workspace, "taste", "oracle").items_hash
    path.write_text(path.read_text().replace(items_hash, "f" * 16))
    with pytest.raises(ConfigError, match="joined to other items"):
        matrix(workspace)


def test_data_hash_is_the_content_not_the_name(workspace):
    manifest = impressions.read_manifest(workspace, "taste")
    assert matrix(workspace).cell(None, None, 0).data_hash == manifest.content_hash
