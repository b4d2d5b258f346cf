import pytest

from ctrbench.benchmark_file import read_benchmark, starting_text, write_choice
from ctrbench.errors import ConfigError
from ctrbench.plan import EVERY

GOOD = """\
dataset: tiny
versions: [a]
modes:
  vector: {}  # plain
seeds: [0, 1]
"""

SHORT = """\
dataset: tiny
versions: a
modes: [vector, sim_score]
seeds: 3
"""


def read(tmp_path, text):
    path = tmp_path / "file.yaml"
    path.write_text(text, encoding="utf-8")
    return read_benchmark(path)


def test_defaults_and_scientific_numbers(tmp_path):
    file = read(tmp_path, GOOD + "training: {learning_rate: 1e-3}\n")
    assert [training.learning_rate for training in file.training] == [0.001]
    assert file.headline == "gauc"
    assert file.seeds == (0, 1)


def test_short_forms_equal_the_long_forms(tmp_path):
    long = read(
        tmp_path,
        "dataset: tiny\nversions: [a]\nmodes: {vector: {}, sim_score: {}}\nseeds: [0, 1, 2]\n"
        "controls: [{kind: shuffled}]\ntune: {learning_rate: [0.1], versions: [a]}\n",
    )
    assert read(tmp_path, SHORT + "tune: {learning_rate: 0.1, versions: a}\n") == long
    listed = SHORT + "controls: shuffled\ntune: {learning_rate: 0.1, versions: a}\n"
    assert read(tmp_path, listed) == long
    assert read(tmp_path, SHORT + "controls: none\n").controls == ()
    one, every = (
        SHORT.replace("[vector, sim_score]", "vector"),
        SHORT.replace("[vector, sim_score]", "all"),
    )
    assert list(read(tmp_path, one).modes) == ["vector"]
    assert list(read(tmp_path, every).modes) == [EVERY]


def test_lists_span_a_grid_of_training_settings(tmp_path):
    file = read(tmp_path, GOOD + "training: {epochs: [1, 2], warm_start: [0, 0.5], batch_size: 8}")
    assert [(one.epochs, one.warm_start, one.batch_size) for one in file.training] == [
        (1, 0, 8),
        (1, 0.5, 8),
        (2, 0, 8),
        (2, 0.5, 8),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "training: {epochs: []}\n", r"line 6: training: .*epochs is an empty list"),
        (GOOD + "training: {epochs: [2, 2]}\n", r"line 6: training: .*epochs"),
        (
            GOOD + "training: {epochs: [0], batch_size: [1, 2]}\n",
            r"(?s)1 mistake.*line 6: training.epochs: must be at least 1|above 0",
        ),
        (GOOD + "training: {epoch: [1, 2]}\n", r"line 6: training.epoch: .*mean 'epochs'"),
        (GOOD + "sedes: [1]\n", r"line 6: sedes: no key 'sedes'; .* Did you mean 'seeds'\?"),
        (GOOD + "model: {embeding_size: 4}\n", r"line 6: .*Did you mean 'embedding_size'\?"),
        (GOOD + "training: {batch_size: many}\n", r"line 6: training.batch_size: .*'many'"),
        (GOOD + "model: {attention: []}\n", r"model.attention: must not be empty"),
        (
            GOOD.replace("[a]", "[]"),
            r"line 2: versions: must not be empty; write `none` to train the baseline only",
        ),
        (
            GOOD.replace("[0, 1]", "[-1]"),
            r"(?s)1 mistake.*seeds.0: must be at least 0 \(given: -1\)$",
        ),
        (GOOD.replace("[0, 1]", "0"), r"line 5: seeds: 0 "),
        (GOOD.replace("[0, 1]", "1001"), r"line 5: seeds: .*1001 .* 1 to 1000"),
        (GOOD.replace("[0, 1]", "{a: 1}"), r"line 5: seeds: must be a list, such as \[a, b\]"),
        (SHORT.replace("vector, ", "vector, vector, "), r"line 3: modes: .*vector is listed twice"),
        (SHORT.replace("vector, ", "{width: 4}, "), r"line 3: modes: .*names only"),
        (GOOD + "training: {learning_rate: .inf}\n", r"learning_rate: must be a finite number"),
        (GOOD + "model: 3\n", r"line 6: model: must .*pairs \(given: 3\)"),
        (GOOD + "controls: [{kind: random, versions: []}]\n", r"versions: must not be empty"),
        (GOOD.replace("vector", "1"), r"line 4: modes.1: a key must be text \(given: 1\)"),
        (GOOD + "a: " + 2000 * "[", r"line 6: more than 20"),
        (GOOD + "seeds: [3]\n", r"line 6: found duplicate key \"seeds\"; keep one"),
        (GOOD + "slices: [{history_below: 0}]\n", r"slices.0.history_below"),
        (GOOD + "a: [\n", r"line \d+: not YAML"),
        (GOOD.replace("[0, 1]", "[true]"), r"seeds.0: must be a whole number \(given: True\)"),
        (GOOD.replace("[0, 1]", "['0']"), r"seeds.0: must be a whole number \(given: '0'\)"),
        (GOOD.replace("[0, 1]", f"[{2**63}]"), r"seeds.0: must be below 9223372036854775808"),
        (GOOD + "training: {epochs: true}\n", r"epochs: must be a whole number \(given: True"),
        (GOOD + "training: {learning_rate: true}\n", r"learning_rate: must be a number"),
        (GOOD + "training: {learning_rate: 1e300}\n", r"learning_rate: must be at most 100"),
        (GOOD + "training: {epochs: 1000000000}\n", r"epochs: must be at most 1000"),
        (GOOD + "training: {batch_size: 1000000000000}\n", r"batch_size: must be at most 1048576"),
        (GOOD + "model: {embedding_size: 1000000000}\n", r"embedding_size: must be at most 4096"),
        (GOOD + "model: {top: [1000000000]}\n", r"model.top.0: must be at most 16384"),
        (GOOD + f"model: {{top: {17 * [8]}}}\n", r"model.top: .*at most 16"),
        (GOOD + "effect: 0pp\n", r"line 6: effect: .*'0pp'"),
        (GOOD + "margin: 200pp\n", r"line 6: margin: .*'200pp'.*100pp"),
        ("- 1\n", r"keys such as dataset"),
        ("", r"keys such as dataset"),
        (GOOD.replace("dataset: tiny\n", ""), r"dataset: missing; add it"),
    ],
)
def test_mistake_is_reported_with_its_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=message):
        read(tmp_path, text)


def test_all_mistakes_are_listed(tmp_path):
    with pytest.raises(ConfigError, match=r"(?s)has 2 mistake\(s\):.*sedes.*headline"):
        read(tmp_path, GOOD + "sedes: [1]\nheadline: accuracy\n")


@pytest.mark.parametrize("name", ["shop", "null", "12", "1e3", "a-b.c", "yes", "名前"])
def test_starting_file_is_read_back(tmp_path, name):
    modes = {"vector": {}, "cluster_id": {"codebook_size": 8}}
    file = read(tmp_path, starting_text(name, [name, "v7"], modes, 3))
    assert (file.dataset, file.versions, file.modes) == (name, (name, "v7"), modes)
    assert file.seeds == (0, 1, 2)
    assert [request.kind for request in file.controls] == ["shuffled"]
    every = read(tmp_path, starting_text(name))
    assert every.versions == (EVERY,)
    assert list(every.modes) == [EVERY]
    without = read(tmp_path, starting_text(name, []))
    assert (without.versions, without.modes) == ((), {"none": {}})


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no benchmark file"):
        read_benchmark(tmp_path / "absent.yaml")
    with pytest.raises(ConfigError, match="is a folder"):
        read_benchmark(tmp_path)


def test_written_choice_is_read_back_and_comments_are_kept(tmp_path):
    read(tmp_path, GOOD)
    path = tmp_path / "file.yaml"
    write_choice(path, {"learning_rate": 0.002}, {"vector": 3.0})
    file = read_benchmark(path)
    assert file.training[0].learning_rate == 0.002
    assert file.modes["vector"] == {"learning_rate_factor": 3.0}
    assert "# plain" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("modes", ["all", "[vector, sim_score]"])
def test_a_choice_is_written_into_short_forms(tmp_path, modes):
    read(tmp_path, SHORT.replace("[vector, sim_score]", modes))
    path = tmp_path / "file.yaml"
    write_choice(path, {}, {"vector": 3.0, "sim_score": 1.0})
    assert read_benchmark(path).modes == {
        "vector": {"learning_rate_factor": 3.0},
        "sim_score": {"learning_rate_factor": 1.0},
    }


def test_no_choice_leaves_short_forms(tmp_path):
    read(tmp_path, SHORT)
    path = tmp_path / "file.yaml"
    write_choice(path, {"learning_rate": 0.002}, {})
    assert list(read_benchmark(path).modes) == ["vector", "sim_score"]
