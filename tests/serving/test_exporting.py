"""Exported folders, checked by another implementation of the model in numpy."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.numpy import load_file
from typer.testing import CliRunner

from ctrbench import embeddings, impressions
from ctrbench.cli.main import app
from ctrbench.errors import ConfigError, ContractError, DataError, StoreError
from ctrbench.serving import export, load
from ctrbench.serving import exporting as exporting_module
from ctrbench.serving.selecting import select
from ctrbench.serving.serve_check import array
from ctrbench.store import Store
from tests.benchmark import SMALL, matrix
from tests.serving.conftest import trained

EPS = 1e-8  # of Dice


def golden(folder):
    return json.loads((folder / "golden.json").read_text(encoding="utf-8"))


class ByHand:
    """The model of SMALL in plain numpy: one impression from raw ids, tables and weights."""

    def __init__(self, folder, item_image, slot_image):
        self.weights = load_file(folder / "model.safetensors")
        self.features = {
            one["name"]: one
            for one in json.loads((folder / "features.json").read_text(encoding="utf-8"))["inputs"]
        }
        self.items = {row["id"]: row for row in pq.read_table(folder / "items.parquet").to_pylist()}
        self.item_image, self.slot_image = item_image, slot_image

    def number(self, name, value):
        one = self.features[name]
        missing = value is None or np.isnan(value)
        return 0.0 if missing else (value - one["mean"]) / one["deviation"]

    def item(self, raw_id):
        row, weights = self.items[raw_id], self.weights
        return np.concatenate(
            [
                weights["id_embedding.weight"][row["item_id"]],
                weights["item_tables.of_category.weight"][row["item.category"]],
                weights["item_tables.of_source.weight"][row["item.source"]],
                self.number("item.price", row["item.price"]) * weights["item_numbers.weight"][0],
            ]
        )

    def layers(self, prefix, hidden):
        weights = self.weights
        hidden = hidden + weights[f"{prefix}.bias"]
        first = {key: weights[f"{prefix}.first.{key}"] for key in ("alpha", "mean", "variance")}
        p = 1 / (1 + np.exp(-(hidden - first["mean"]) / np.sqrt(first["variance"] + EPS)))
        hidden = p * hidden + (1 - p) * first["alpha"] * hidden
        return float(
            (weights[f"{prefix}.rest.0.weight"] @ hidden + weights[f"{prefix}.rest.0.bias"])[0]
        )

    def pair(self, name, query, key):
        return self.weights[name] @ np.concatenate([query, key, query - key, query * key])

    def logit(self, line):
        weights, target = self.weights, line["item_id"]
        query, pooled = self.item(target), np.zeros(len(self.item(target)))
        images = [self.item_image(self, target)] if self.item_image else []
        width = weights["image.top.weight"].shape[1] // (1 + len(images))
        pooled_image = np.zeros(width)
        for clicked in line["history"]:
            key = self.item(clicked)
            hidden = self.pair("attention_id.weight", query, key)
            if self.item_image:
                image = self.item_image(self, clicked)
                hidden = hidden + self.pair("image.attention_item.weight", images[0], image)
            else:
                image = self.slot_image(target, clicked)
                hidden = hidden + weights["image.attention_slot.weight"] @ image
            attention = self.layers("attention", hidden)
            pooled = pooled + attention * key
            pooled_image = pooled_image + attention * image
        row = [line["log_history_length"], line["click_rate"], line["position"]]
        names = "state.log_history_length", "state.click_rate", "context.position"
        numbers = [self.number(name, value) for name, value in zip(names, row, strict=True)]
        scaled = [n * w for n, w in zip(numbers, weights["row_numbers.weight"], strict=True)]
        hidden = weights["top_id.weight"] @ np.concatenate([*scaled, query, pooled])
        hidden = hidden + weights["image.top.weight"] @ np.concatenate([*images, pooled_image])
        return self.layers("top", hidden)


def vectors_of(workspace):
    """Return the vectors of the version by raw id, of length one."""
    table = embeddings.open_version(workspace, "taste", "oracle")
    raw = impressions.raw_item_ids(workspace, "taste")
    return {
        raw[item - 1]: table.vectors[item] / np.linalg.norm(table.vectors[item])
        for item in np.flatnonzero(table.has_vector).tolist()
    }


def test_logits_of_cluster_id_follow_from_centres_and_weights(exported):
    workspace, folders = exported
    folder, unit = folders["cluster_id"], vectors_of(workspace)
    centres = np.load(folder / "encoder" / "centres.npy")

    def image(model, raw_id):
        row = 0  # without a vector
        if raw_id in unit:
            row = 1 + int(np.argmin(((centres - unit[raw_id]) ** 2).sum(axis=1)))
        return model.weights["image_layers.code_embedding.weight"][row]

    model = ByHand(folder, image, None)
    lines = pq.read_table(folder / "golden.parquet").to_pylist()
    assert any(line["history"] for line in lines)
    for line in lines[:4]:
        assert model.logit(line) == pytest.approx(line["logit"], abs=1e-5)
        assert line["p_click"] == pytest.approx(1 / (1 + np.exp(-line["logit"])), abs=1e-6)


def test_logits_of_sim_score_follow_from_vectors_and_weights(exported):
    workspace, folders = exported
    unit = vectors_of(workspace)

    def image(target, clicked):
        both = target in unit and clicked in unit
        return np.array([unit[target] @ unit[clicked], 0.0]) if both else np.array([0.0, 1.0])

    model = ByHand(folders["sim_score"], None, image)
    for line in pq.read_table(folders["sim_score"] / "golden.parquet").to_pylist()[:4]:
        assert model.logit(line) == pytest.approx(line["logit"], abs=1e-5)


def test_golden_impressions_have_the_stored_predictions(exported):
    workspace, folders = exported
    log = impressions.open_impressions(workspace, "taste")
    for mode, folder in folders.items():
        cell = select(workspace, f"taste/oracle/{mode}").cell
        stored = Store(workspace).predictions(cell, "test")
        lines = pq.read_table(folder / "golden.parquet").to_pylist()
        rows = [line["impression_id"] - log.rows("test").start for line in lines]
        np.testing.assert_allclose([line["p_click"] for line in lines], stored[rows], atol=1e-5)
        assert golden(folder)["impressions"] == lines


def test_codes_are_those_of_the_nearest_centres(exported):
    workspace, folders = exported
    unit, folder = vectors_of(workspace), folders["cluster_id"]
    centres = np.load(folder / "encoder" / "centres.npy")
    found = {row["id"]: row["code"] for row in pq.read_table(folder / "codes.parquet").to_pylist()}
    assert found.keys() == unit.keys()
    items = {row["id"]: row for row in pq.read_table(folder / "items.parquet").to_pylist()}
    for raw_id, vector in unit.items():
        assert found[raw_id] == [np.argmin(((centres - vector) ** 2).sum(axis=1))]
        assert items[raw_id]["image.code"] == [found[raw_id][0] + 1]


def test_vocabulary_gives_the_codes_of_items(exported):
    workspace, folders = exported
    rows = pq.read_table(folders["cluster_id"] / "vocabulary.parquet").to_pylist()
    code = {(row["input"], row["value"]): row["code"] for row in rows}
    log = impressions.open_impressions(workspace, "taste")
    values = [None, *impressions.vocabulary(workspace, "taste", "category")]
    items = pq.read_table(folders["cluster_id"] / "items.parquet").to_pylist()
    assert items[0]["id"] is None
    assert items[0]["item_id"] == items[0]["item.category"] == 0
    for item, row in enumerate(items[1:], start=1):
        value = values[log.item_fields["category"][item]]
        assert row["item.category"] == code.get(("item.category", value), 0)


def test_batches_cover_the_edges(exported):
    batches = {one["name"]: one for one in golden(exported[1]["sim_score"])["batches"]}
    inputs = {
        name: {k: array(v) for k, v in one["inputs"].items()} for name, one in batches.items()
    }
    assert list(batches) == ["test", "one", "empty_history", "full_history", "unknown"]
    assert len(inputs["one"]["target"]) == 1
    assert (inputs["empty_history"]["history"] == -1).all()
    assert inputs["full_history"]["history"].shape == (1, 10)
    assert (inputs["full_history"]["history"] >= 0).all()
    shown = inputs["unknown"]["target"][0]
    assert inputs["unknown"]["item_id"][shown] == 0
    assert inputs["unknown"]["has_vector.image"][shown] == 0
    assert np.isnan(inputs["unknown"]["state.click_rate"]).all()


def test_pytorch_model_reproduces_the_golden_outputs(exported):
    for folder in exported[1].values():
        model = load(folder)
        for batch in golden(folder)["batches"]:
            inputs = {name: array(given) for name, given in batch["inputs"].items()}
            for name, values in model.run(inputs).items():
                np.testing.assert_allclose(values, array(batch["outputs"][name]), atol=1e-6)
        assert all(one.requires_grad for one in model.parameters())


def checked(folder):
    code = [sys.executable, "-I", str(folder / "serve_check.py")]  # -I: ctrbench is not on the path
    return subprocess.run(code, capture_output=True, text=True, check=False)


def test_serve_check_passes_and_reports_changes(exported, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(exported[1]["cluster_id"], folder)
    done = checked(folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("every golden output is reproduced; largest difference ")
    content = golden(folder)
    content["batches"][0]["outputs"]["logit"]["data"][0] += 0.5
    (folder / "golden.json").write_text(json.dumps(content), encoding="utf-8")
    done = checked(folder)
    assert done.returncode == 1
    first, second = done.stderr.splitlines()
    assert first == "golden.json differs from its checksum in files.json"
    assert second == "batch test: logit differs by 0.5, allowed 1e-05"
    (folder / "model.onnx").write_bytes(b"damaged")
    done = checked(folder)
    assert (done.returncode, done.stderr.splitlines()) == (
        1,
        [
            f"{name} differs from its checksum in files.json"
            for name in ("golden.json", "model.onnx")
        ],
    )
    (folder / "model.onnx").unlink()
    assert checked(folder).returncode == 2


def test_scripts_name_a_damaged_file(exported, tmp_path):
    folder = tmp_path / "copy"
    shutil.copytree(exported[1]["cluster_id"], folder)
    content = golden(folder)
    content["batches"][0]["inputs"]["\x1b[2J"] = {"dtype": "O", "shape": [1], "data": [1]}
    for text in ('{"batches": [', "[" * 100_000, "{}", json.dumps(content)):
        (folder / "golden.json").write_text(text, encoding="utf-8")
        done = checked(folder)
        assert (done.returncode, done.stderr.count("\n"), done.stdout) == (2, 1, "")
        assert done.stderr.startswith("golden.json is damaged (")
    done = subprocess.run(
        [sys.executable, folder / "load_model.py"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.startswith(f"{folder / 'golden.json'} is damaged (")


def test_readme_names_every_file_and_input(exported):
    for folder in exported[1].values():
        text = (folder / "README.md").read_text(encoding="utf-8")
        for path in folder.iterdir():
            assert path.name == "README.md" or f"`{path.name}" in text, path.name
        for one in json.loads((folder / "features.json").read_text(encoding="utf-8"))["inputs"]:
            assert f"| `{one['name']}` |" in text


def test_a_cell_without_weights_is_trained_again_to_the_same_ones(world, exported, tmp_path):
    store, cell = Store(world), select(world, "taste/oracle/cluster_id").cell
    before = store.read_model(cell)
    store.path(cell).with_suffix(".safetensors").unlink()
    found = export(world, cell.hash[:8], tmp_path / "again")
    assert found.retrained
    after = store.read_model(cell)
    assert all(np.array_equal(before[name], values) for name, values in after.items())
    model = (tmp_path / "again" / "model.safetensors").read_bytes()
    assert model == (exported[1]["cluster_id"] / "model.safetensors").read_bytes()


def test_weights_of_other_predictions_are_refused(world, tmp_path):
    store, cell = Store(world), select(world, "taste/oracle/sim_score").cell
    store.path(cell).with_suffix(".safetensors").unlink()
    found = {period: store.predictions(cell, period) for period in ("valid", "test")}
    found["test"] = found["test"].copy()
    found["test"][7] += 0.25
    log = impressions.open_impressions(world, "taste")
    store._write_predictions(cell, found, {name: log.rows(name).start for name in found})
    with pytest.raises(StoreError) as caught:
        export(world, "taste/oracle/sim_score", tmp_path / "out")
    start, _, rest = str(caught.value).partition(" Different: ")
    assert start == (
        f"cell {cell.hash} ({cell.label}) was trained again for its weights, and predicts "
        "differently (by at most 0.25), so these are not the weights of the stored result."
    )
    assert f"torch unknown then, {version('torch')} now" in rest
    assert rest.endswith(
        f"or delete {store.path(cell)} and run its benchmark file with --keep-models."
    )
    assert not (tmp_path / "out").exists()


def refused(workspace, name, folder, kind=ConfigError, **options):
    with pytest.raises(kind) as caught:
        export(workspace, name, folder, **options)
    assert not folder.exists() or not (folder / "model.onnx").exists()
    return str(caught.value)


def test_an_existing_folder_is_not_overwritten(world, tmp_path):
    assert refused(world, "taste/none/none", tmp_path) == (
        f"{tmp_path} exists; name a folder that does not exist."
    )


def test_names_that_select_no_cell(world, tmp_path):
    out = tmp_path / "out"
    assert refused(world, "abc", out) == (
        "'abc' is too short for a hash: give at least 4 characters."
    )
    assert refused(world, "taste/oracle/vectr", out) == (
        f"no stored cell matches 'taste/oracle/vectr' in {world.results}. Give a hash, or "
        "DATASET/VERSION/MODE, optionally with /SEED, or --file and VERSION/MODE."
    )
    assert refused(world, "taste/oracle/vector/7", out).startswith("no stored cell matches")


def test_an_arm_with_several_settings_requires_a_hash_or_a_matrix(world):
    other = SMALL.replace("codebook_size: 8", "codebook_size: 9").replace(", random", "")
    made = trained(world, other)
    cells = [one for one in Store(world).records("taste") if one.cell.mode == "cluster_id"]
    with pytest.raises(ConfigError) as caught:
        select(world, "taste/oracle/cluster_id")
    labels = "; ".join(f"{one.hash} is {one.cell.label}" for one in cells)
    assert str(caught.value) == (
        f"2 stored cells match 'taste/oracle/cluster_id': {labels}. Give a hash."
    )
    found = select(world, "oracle/cluster_id", made)
    assert found.cell.mode_settings["codebook_size"] == 9
    assert select(world, "oracle/cluster_id/0", made) == found


def test_a_failed_cell_is_refused(world, tmp_path):
    store, record = Store(world), select(world, "taste/oracle/vector")
    failed = {"status": "failed", "reason": "the loss became NaN.", "metrics": {}}
    store.update(record.model_copy(update=failed))
    assert refused(world, record.hash, tmp_path / "out") == (
        f"cell {record.hash} ({record.cell.label}) failed, so there is no model to export: the "
        "loss became NaN. Correct the cause and run its benchmark file with --retry-failed."
    )


def test_a_cell_with_only_a_trace_is_refused(world, tmp_path):
    store, record = Store(world), select(world, "taste/oracle/vector")
    path = store.path(record.cell)
    path.with_suffix(".trace").write_text("{}", encoding="utf-8")
    path.unlink()
    assert refused(world, record.hash, tmp_path / "out") == (
        f"cell {record.hash} has only a trace, no record. Run its benchmark file, which trains it."
    )


def test_a_mode_that_is_no_longer_installed_is_named(world, tmp_path):
    store, record = Store(world), select(world, "taste/oracle/vector")
    cell = record.cell.model_copy(update={"mode": "brightness"})
    store.update(record.model_copy(update={"cell": cell, "hash": cell.hash}))
    message = refused(world, cell.hash, tmp_path / "out")
    assert message.startswith(
        "the mode 'brightness' of taste / oracle / brightness / seed 0 cannot be loaded: no mode "
        "'brightness'; known: "
    )
    assert message.endswith("If another package provided it, install that package.")


def test_a_cell_of_another_protocol_is_refused(world, tmp_path):
    store, record = Store(world), select(world, "taste/oracle/vector")
    cell = record.cell.model_copy(update={"protocol": 3})
    store.update(record.model_copy(update={"cell": cell, "hash": cell.hash}))
    assert refused(world, cell.hash, tmp_path / "out") == (
        f"cell {cell.hash} ({cell.label}) was trained under protocol 3 and revision "
        f"{cell.mode_revision} of its mode, but this ctrbench has protocol 4 and revision "
        f"{cell.mode_revision}. Run its benchmark file again."
    )


def test_a_changed_version_is_refused(world, tmp_path):
    embeddings.remove_version(world, "taste", "oracle", True)
    log, raw = (
        impressions.open_impressions(world, "taste"),
        impressions.raw_item_ids(world, "taste"),
    )
    vectors = np.random.default_rng(0).normal(size=(len(raw), 48)).astype(np.float32)
    np.savez(tmp_path / "v.npz", key=np.array(raw), value=vectors)
    embeddings.add_version(world, log, raw, "oracle", embeddings.Source(tmp_path / "v.npz"))
    record = select(world, "taste/oracle/vector")
    message = refused(world, "taste/oracle/vector", tmp_path / "out", DataError)
    assert message.startswith(
        f"version 'oracle' of 'taste' has changed since {record.cell.label} was trained: content "
    )
    assert message.endswith(
        f"instead of {record.cell.vectors_hash}. Add the same vectors again, or run the benchmark "
        "file and export a new cell."
    )


def test_look_ups_that_change_predictions_are_refused(world, tmp_path, monkeypatch):
    from ctrbench.injection.sim_score import SimScore

    monkeypatch.setattr(SimScore, "pair_values", lambda self, cosine, known: {"score": cosine * 0})
    message = refused(world, "taste/oracle/sim_score", tmp_path / "out", ContractError)
    assert message.startswith("SimScore with DIN: a server that looks inputs up would predict ")
    assert message.endswith(
        "`pair_values` must compute what `prepare` stores, and a logit must depend on its own "
        "impression only."
    )


def test_damaged_weights_are_refused(world, tmp_path):
    cell = select(world, "taste/oracle/vector").cell
    path = Store(world).path(cell).with_suffix(".safetensors")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert refused(world, cell.hash, tmp_path / "out", StoreError) == (
        f"{path} has another checksum. Delete it; `ctrbench export` trains the cell {cell.hash} "
        "again."
    )


CODED = """\
modes:
  residual_id: {codebook_size: 4, levels: 2, width: 2}
seeds"""
TWO_FIELDS = """\
modes:
  vector+sim_tier: {vector.field: text, vector.width: 2, vector.gate: true, sim_tier.center: true}
seeds"""
MODES = SMALL[SMALL.index("modes") : SMALL.index("seeds") + 5]


def add(workspace, version, source):
    log = impressions.open_impressions(workspace, "taste")
    raw_ids = impressions.raw_item_ids(workspace, "taste")
    embeddings.add_version(workspace, log, raw_ids, version, source)


@pytest.mark.slow
def test_codes_made_elsewhere_and_two_vector_fields(world, tmp_path):
    raw = impressions.raw_item_ids(world, "taste")
    rng = np.random.default_rng(0)
    columns = {"item_id": raw[3:], "code0": rng.integers(5, 9, len(raw) - 3)}
    columns["code1"] = rng.integers(100, 103, len(raw) - 3)
    pq.write_table(pa.table(columns), tmp_path / "codes.parquet")
    add(world, "coded", embeddings.Source(tmp_path / "codes.parquet", codes=True))
    fields = {}
    for name in ("image", "text"):
        np.savez(tmp_path / f"{name}.npz", key=np.array(raw), value=rng.normal(size=(len(raw), 5)))
        fields[name] = embeddings.Source(tmp_path / f"{name}.npz")
    add(world, "both", fields)
    trained(world, SMALL.replace(MODES, CODED).replace("[oracle, random]", "[coded]"))
    trained(
        world,
        SMALL.replace(MODES, TWO_FIELDS)
        .replace("[oracle, random]", "[both]")
        .replace("model: {", "model: {backbone: bst, transformer_width: 8, "),
    )
    export(world, "taste/coded/residual_id", tmp_path / "coded")
    rows = pq.read_table(tmp_path / "coded" / "codes.parquet").to_pylist()
    assert [row["id"] for row in rows] == raw[3:]
    assert [row["code"] for row in rows] == [
        [a - 5, b - 100] for a, b in zip(columns["code0"], columns["code1"], strict=True)
    ]
    given = zip(columns["code0"].tolist(), columns["code1"].tolist(), strict=True)
    assert [tuple(row["given_code"]) for row in rows] == [*given]
    export(world, "taste/both/vector+sim_tier", tmp_path / "both")
    new = CliRunner().invoke(
        app,
        ["encode", str(tmp_path / "both"), "-o", str(tmp_path / "new.parquet")]
        + [f"--field={name}={tmp_path / name}.npz" for name in fields],
    )
    assert new.exit_code == 0, new.output
    found = pq.read_table(tmp_path / "new.parquet")
    known = pq.read_table(tmp_path / "both" / "items.parquet").slice(1)
    assert found["id"].to_pylist() == raw
    for column in ("image.vector.vector", "unit.image.centered", "has_vector.image.centered"):
        ours, theirs = (np.array(table[column].to_pylist()) for table in (found, known))
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_command_line_stores_weights_exports_and_encodes(workspace, tmp_path):
    """The commands are those of docs/serving.md."""
    text = SMALL.replace(", random", "").replace("  vector: {width: 4}\n  sim_score: {}\n", "")
    file = tmp_path / "shop.yaml"
    file.write_text(text, encoding="utf-8")

    def run(*words):
        done = CliRunner().invoke(app, ["--home", str(workspace.home), *map(str, words)])
        assert done.exit_code == 0, done.output
        return done.output

    run("run", file, "--jobs", 1, "--quiet", "--no-report", "--keep-models")
    store = Store(workspace)
    cells = list(matrix(workspace, text).cells())
    assert all(store.has_model(cell) for cell in cells)
    folder = tmp_path / "model"
    output = run("export", "oracle/cluster_id", "--file", file, "-o", folder)
    assert output.splitlines()[0].endswith("taste / oracle / cluster_id / seed 0 (stored weights)")
    vectors = np.random.default_rng(1).normal(size=(3, 48)).astype(np.float32)
    np.save(tmp_path / "new.npy", vectors)
    (tmp_path / "ids.txt").write_text("n1\nn2\nn3\n", encoding="utf-8")
    given = "--vectors", tmp_path / "new.npy", "--ids", tmp_path / "ids.txt"
    run("encode", folder, *given, "-o", tmp_path / "new.parquet")
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    centres = np.load(folder / "encoder" / "centres.npy")
    nearest = ((unit[:, None] - centres) ** 2).sum(axis=2).argmin(axis=1)
    assert pq.read_table(tmp_path / "new.parquet").to_pylist() == [
        {"id": name, "item_id": 0, "image.code": [code + 1], "code": [code]}
        for name, code in zip(("n1", "n2", "n3"), nearest.tolist(), strict=True)
    ]


def test_onnx_that_differs_is_refused(exported):
    folder = exported[1]["cluster_id"]
    model = load(folder)
    batches = golden(folder)["batches"]
    requests = [{name: array(one) for name, one in b["inputs"].items()} for b in batches]
    assert exporting_module._require_onnx(folder / "model.onnx", model, requests) <= 1e-5
    with torch.no_grad():
        model.model.top.bias.add_(1.0)
    with pytest.raises(ContractError) as caught:
        exporting_module._require_onnx(folder / "model.onnx", model, requests)
    start, end = str(caught.value).split("outputs that differ by ")
    assert start == f"ClusterId with DIN: onnxruntime {version('onnxruntime')} computes "
    assert end.endswith(
        " from those of PyTorch; at most 1e-05 is accepted. Install another onnxruntime."
    )
