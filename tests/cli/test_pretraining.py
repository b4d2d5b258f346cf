"""`ctrbench pretrain` on a small world with pictures, by every method."""

import re
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from ctrbench import embeddings, impressions, plugins
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, DamagedError, DataError, StoreError, UnknownNameError
from ctrbench.pretraining import encoders
from ctrbench.pretraining.methods import configured
from ctrbench.pretraining.pictures import open_pictures
from ctrbench.pretraining.sources import Pixels
from ctrbench.seeding import scoped_torch_seed
from ctrbench.workspace import Workspace
from data_synth.world import WorldConfig
from data_synth.writing import write_world
from tests.impressions.logs import build_log, row

QUICK = tuple(
    word
    for change in ("epochs=1", "width=16", "batch_size=32")
    for word in ("--set", f"training.{change}")
)
MASK = ("--set", "training.random_mask=true")
SMALL = ("--set", "encoder.channels=8", "--set", "encoder.size=32")


@pytest.fixture(scope="module")
def pictured(tmp_path_factory) -> Workspace:
    home = tmp_path_factory.mktemp("pictured")
    write_world(WorldConfig("taste", users=40, items=40, impressions=2000), home, pictures=64)
    return Workspace(home)


@pytest.fixture
def run(pictured, tmp_path):
    """Call `pretrain …` in a copy of the world; gives what it printed."""
    home = tmp_path / "home"
    shutil.copytree(pictured.home, home)

    def invoke(method, version, *arguments):
        words = ["--home", str(home), "pretrain", method, "--dataset", "taste"]
        result = CliRunner().invoke(app, [*words, "--version", version, *arguments])
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.output

    invoke.workspace = Workspace(home)
    return invoke


@pytest.mark.parametrize("method", plugins.names("ctrbench.pretraining.methods"))
def test_every_method_makes_a_version_of_pixels(method, run):
    titled = method == "clip"
    if titled:
        with pytest.raises(DataError, match="has no titles"):
            run(method, "made", "--images", *QUICK, *SMALL)
        return
    text = run(method, "made", "--images", *QUICK, *SMALL)
    assert "added made of taste: 39 vectors of width 16" in text
    again = run(method, "made", "--images", *QUICK, *SMALL)
    assert "already exists, trained with the same settings: made" in again
    with pytest.raises(ConfigError, match="'made' of 'taste' exists with other content"):
        run(method, "made", "--images", *QUICK, *SMALL, "--set", "training.seed=5")
    listed = CliRunner().invoke(app, ["--home", str(run.workspace.home), "embeddings", "list"])
    assert f"{method} on pictures by small" in listed.output
    expected = embeddings.read_manifest(run.workspace, "taste", "made").provenance
    assert expected["method"] == method
    assert expected["fit_period"] == "pretrain"
    assert expected["curve"]
    assert expected["processes"] == 1
    assert ("views_drawn_by" in expected) == configured(method, {}).augmented
    assert not (run.workspace.cache / "pretraining").exists() or not list(
        (run.workspace.cache / "pretraining").iterdir()
    )


def test_a_layer_on_a_registered_version(run):
    run("courier", "made", "--from-version", "oracle", *QUICK)
    table = embeddings.open_version(run.workspace, "taste", "made")
    oracle = embeddings.open_version(run.workspace, "taste", "oracle")
    np.testing.assert_array_equal(table.has_vector, oracle.has_vector)
    with pytest.raises(ConfigError, match="use --images instead of --from-version"):
        run("simclr", "views", "--from-version", "oracle", *QUICK)


def test_a_layer_on_a_field_is_that_on_its_vectors(run, two_fields):
    two_fields(run.workspace)
    run("courier", "made", "--from-version", "oracle", *QUICK)
    run("courier", "field", "--from-version", "v7:text", *QUICK)
    made, field = (
        embeddings.open_version(run.workspace, "taste", name) for name in ("made", "field")
    )
    np.testing.assert_array_equal(field.vectors, made.vectors)
    provenance = embeddings.read_manifest(run.workspace, "taste", "field").provenance
    assert "v7:text" in provenance.values()
    with pytest.raises(ConfigError, match="has several vector fields: image, text"):
        run("courier", "first", "--from-version", "v7", *QUICK)


def test_share_of_repeated_targets_is_printed(run):
    text = run("courier", "made", "--from-version", "oracle", *QUICK)
    mask = run("courier", "mask", "--from-version", "oracle", *QUICK, *MASK)
    home = str(run.workspace.home)
    shown = CliRunner().invoke(
        app, ["--home", home, "embeddings", "show", "mask", "--dataset", "taste"]
    )
    facts = embeddings.read_manifest(run.workspace, "taste", "mask").provenance
    expected = f"{100 * facts['repeated_targets']:.1f} % repeat another of the same user; "
    expected += f"{100 * facts['reversed_pairs']:.1f} % of the pairs with an earlier click"
    assert f"targets: {expected}" in mask
    assert expected in shown.output
    assert expected not in text  # without random masks less is repeated
    assert "targets: " in text
    assert "targets: " not in run("simsiam", "items", "--images", *QUICK, *SMALL)


def test_the_same_seed_gives_the_same_vectors_and_another_others(run):
    for name, seed in (("one", 1), ("again", 1), ("two", 2)):
        run("courier", name, "--from-version", "oracle", *QUICK, "--set", f"training.seed={seed}")
    one, again, two = (
        np.array(embeddings.open_version(run.workspace, "taste", name).vectors)
        for name in ("one", "again", "two")
    )
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, two)


def test_a_grid_makes_a_version_of_every_point(run, tmp_path):
    file = tmp_path / "grid.yaml"
    file.write_text("method: {temperature: [0.05, 0.2]}\ntraining: {epochs: 1, width: [8, 16]}\n")
    run("courier", "grid", "--from-version", "oracle", "--config", str(file))
    names = [n for n in embeddings.names(run.workspace, "taste") if n.startswith("grid")]
    assert names == [f"grid-temperature{t}-width{w}" for t in ("0.05", "0.2") for w in (16, 8)]


def test_a_name_that_exists_is_an_error_before_a_grid_begins(run):
    quick = ("courier", "--from-version", "oracle", *QUICK)
    run(quick[0], "grid-seed2", *quick[1:])
    with pytest.raises(ConfigError, match="'grid-seed2' of 'taste' exists with other content"):
        run(quick[0], "grid", *quick[1:], "--set", "training.seed=[1, 2]")
    assert "grid-seed1" not in embeddings.names(run.workspace, "taste")


def test_weights_that_cannot_be_saved_are_an_error_before_the_training(run, tmp_path):
    start = ("courier", "made", "--from-version", "oracle", *QUICK, "--save-weights")
    (tmp_path / "folder.safetensors").mkdir()
    (tmp_path / "file").touch()
    for path, expected in (
        ("/proc/x.safetensors", "no file can be created"),
        (tmp_path / "folder.safetensors", "it is a folder"),
        (tmp_path / "file" / "x.safetensors", "is a file instead of a folder"),
    ):
        with pytest.raises(StoreError, match=expected):
            run(*start, str(path))
    assert "made" not in embeddings.names(run.workspace, "taste")


def test_collapse_is_named_and_not_registered(run):
    off = ("--set", "method.negatives=false", "--set", "method.prediction=0")
    hard = ("--set", "training.epochs=60", "--set", "training.learning_rate=0.03")
    start = ("courier", "flat", "--from-version", "oracle", *QUICK, *off, *hard)
    expected = r"collapsed: effective rank \d\.\d .* mean cosine \d\.\d{3}"
    with pytest.raises(DataError, match=expected):
        run(*start)
    assert "flat" not in embeddings.names(run.workspace, "taste")
    text = run(*start, "--allow-collapsed")
    assert "added flat" in text
    assert "step" not in text  # not trained again
    reason = embeddings.read_manifest(run.workspace, "taste", "flat").provenance["collapsed"]
    assert f"flat collapsed: {reason}" in text
    assert f"flat collapsed: {reason}" in run(*start)  # already there


def test_a_collapsed_version_is_marked_in_every_output(run):
    start = "courier", "flat", "--from-version", "constant", "--allow-collapsed", *QUICK
    assert "0 dimensions in use" in run(*start)  # all vectors are the same
    run("courier", "made", "--from-version", "oracle", *QUICK)
    looked = [
        CliRunner()
        .invoke(
            app, ["--home", str(run.workspace.home), "embeddings", *words, "--dataset", "taste"]
        )
        .output
        for words in (["show", "flat"], ["show", "made"], ["quality", "flat", "made"])
    ]
    assert re.search(r"collapsed +effective rank 0\.0", looked[0])
    assert "collapsed" not in looked[1]
    assert "flat (collapsed)" in looked[2]
    assert "made (collapsed)" not in looked[2]


@pytest.mark.parametrize(
    ("arguments", "kind", "expected"),
    [
        ((), ConfigError, "either images .--images. or from_version"),
        (("--images", "--from-version", "oracle"), ConfigError, "either images .--images."),
        (("--from-version", "orakle"), UnknownNameError, "Did you mean 'oracle'"),
        (("--images", "--set", "epochs=3"), ConfigError, "write SECTION.SETTING=VALUE"),
        (("--images", "--set", "training.epoch=3"), ConfigError, "no setting|epoch"),
        (("--images", "--set", "method.temperature=0"), ConfigError, "must be above 0"),
        (("--images", "--set", "method.temperature=-1"), ConfigError, "must be above 0"),
        (("--images", "--set", "encoder.name=swin"), UnknownNameError, "Did you mean 'swin_t'"),
        (("--images", "--set", "encoder.weights=none.pt"), ConfigError, "no weights file none.pt"),
        (("--images", "--config", "none.yaml"), ConfigError, "no pre-training file none.yaml"),
    ],
)
def test_mistakes(run, arguments, kind, expected):
    with pytest.raises(kind, match=expected):
        run("courier", "made", *arguments)


def test_images_that_cannot_be_decoded_are_named_and_left_out(run):
    path = run.workspace.data / "taste" / "images.parquet"
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[3]["bytes"] = rows[3]["bytes"][:40]
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    text = run("courier", "made", "--images", *QUICK, *SMALL)
    assert "1 image ignored" in text
    assert "38 vectors" in text


def test_saved_weights_start_another_encoder(run, tmp_path):
    path = tmp_path / "encoder.safetensors"
    text = run("simsiam", "made", "--images", *QUICK, *SMALL, "--save-weights", str(path))
    assert f"wrote {path}" in text
    weights = load_file(path)
    assert weights["0.weight"].shape == (8, 3, 3, 3)
    fresh = encoders.configured("small", {"channels": 8, "size": 32, "weights": path}).build(16)
    assert torch.equal(fresh.get_parameter("0.weight"), weights["0.weight"])
    run("simsiam", "next", "--images", *QUICK, *SMALL, "--set", f"encoder.weights={path}")
    again = run("simsiam", "made", "--images", *QUICK, *SMALL, "--save-weights", str(path))
    assert "was not written" in again
    grid = ("--set", "training.seed=[1, 2]")
    with pytest.raises(ConfigError, match=r"one encoder.* 2 versions"):
        run("simsiam", "grid", "--images", *QUICK, *SMALL, *grid, "--save-weights", str(path))
    with pytest.raises(ConfigError, match=r"ends in \.safetensors"):
        run("simsiam", "other", "--images", *QUICK, *SMALL, "--save-weights", "encoder.pt")


def test_an_encoder_starts_with_outputs_of_mean_0_and_mean_square_1(run):
    log = impressions.open_impressions(run.workspace, "taste")
    pictures = open_pictures(run.workspace, log.manifest)
    encoder = encoders.configured("small", {"channels": 8, "size": 32})
    fitting = impressions.items_in_period(log, "pretrain")
    source = Pixels(pictures, encoder, "small", fitting)
    with scoped_torch_seed(0, "test"):
        network = source.network(16).eval()
    items = np.flatnonzero(source.usable & fitting)
    with torch.no_grad():
        made = network(source.inputs(items))
    assert made.mean(dim=0).abs().max() < 1e-5
    assert made.square().mean() == pytest.approx(1, rel=1e-5)


def test_a_version_without_vectors_of_the_pretrain_period(run):
    log = impressions.open_impressions(run.workspace, "taste")
    later = np.flatnonzero(~impressions.items_in_period(log, "pretrain"))[1:]
    assert len(later)
    blocks = [(later, np.ones((len(later), 4), np.float32))]
    provenance = {"method": "test", "settings": {}, "effective_rank": 1.0}
    embeddings.register(run.workspace, log.manifest, "late", 4, blocks, lambda: provenance)
    with pytest.raises(DataError, match="'late' has no vector for any item of the pretrain period"):
        run("courier", "made", "--from-version", "late", *QUICK)


def test_without_a_pretrain_period(run):
    rows = [row(n % 7, n % 5, n % 3 == 0, n) for n in range(400)]
    build_log(run.workspace, rows, split="time:50/20/30")
    vectors, ids = run.workspace.home / "v.npy", run.workspace.home / "ids.npy"
    np.save(vectors, np.eye(5, dtype=np.float32))
    np.save(ids, np.arange(5))
    words = ["oracle", "--dataset", "log", "--vectors", str(vectors), "--ids", str(ids)]
    done = CliRunner().invoke(app, ["--home", str(run.workspace.home), "embeddings", "add", *words])
    assert done.exit_code == 0, done.output
    with pytest.raises(DataError, match="has no pretrain period"):
        run("courier", "made", "--from-version", "oracle", *QUICK, "--dataset", "log")
    assert impressions.names(run.workspace) == ["log", "taste"]


def flip(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 4
    path.write_bytes(content)


def test_training_on_damaged_arrays_or_pictures_gives_the_same_vectors(run):
    workspace, words = run.workspace, ("--images", *QUICK, *SMALL)
    run("courier", "made", *words)
    vectors = workspace.embeddings / "taste" / "made" / "vectors.npy"
    before = vectors.read_bytes()
    for name in ("data/*/impressions.click.npy", "pictures/*/pictures.bin", "pictures/*/start.npy"):
        (path,) = workspace.cache.glob(name)
        content = path.read_bytes()
        flip(path)
        embeddings.remove_version(workspace, "taste", "made")
        run("courier", "made", *words)
        assert vectors.read_bytes() == before
        assert path.read_bytes() == content


def test_training_on_damaged_vectors_is_refused(run):
    flip(run.workspace.embeddings / "taste" / "oracle" / "vectors.npy")
    with pytest.raises(DamagedError, match="'oracle' of 'taste' is damaged"):
        run("courier", "made", "--from-version", "oracle", *QUICK)
    assert "made" not in embeddings.names(run.workspace, "taste")
