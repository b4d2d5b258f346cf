"""Writes a trained cell as a folder for a serving team."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.atomic import atomic_folder
from ctrbench.environment import environment
from ctrbench.errors import ConfigError, ContractError, DataError, DivergedError, first_line
from ctrbench.exporting.rows import Rows
from ctrbench.injection import Images, Injection
from ctrbench.json_text import as_json
from ctrbench.plan import Matrix
from ctrbench.runner.cell import run_cell
from ctrbench.runner.parts import CellParts, build
from ctrbench.runner.preparation import images_of, read_tables
from ctrbench.schema import Cell
from ctrbench.serving import serve_check
from ctrbench.serving.encoding import require_same, write_encoder
from ctrbench.serving.features import Vectors, comparisons_of, features_of
from ctrbench.serving.golden import (
    JSON,
    PARQUET,
    Golden,
    golden_rows,
    random_requests,
    raw_impressions,
    requests_of,
    write_json,
)
from ctrbench.serving.graph import OPSET, OUTPUTS, Served, check_opset, write_onnx
from ctrbench.serving.loading import DESCRIPTION, STATE, describe, load, mode_of
from ctrbench.serving.readme import readme
from ctrbench.serving.requests import Lookups, Request
from ctrbench.serving.selecting import select
from ctrbench.serving.tables import (
    CODES,
    ITEMS,
    USERS,
    VALUES,
    write_codes,
    write_items,
    write_users,
    write_vocabulary,
)
from ctrbench.store import Store
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.training import ShareProgress

MODEL, FEATURES, FILES, README = "model.onnx", "features.json", "files.json", "README.md"
SCRIPTS = "serve_check.py", "load_model.py"
TOLERANCE = serve_check.TOLERANCE
COMPARED = 1000  # test impressions on which the served model is compared with the benchmark's
MOST_DIFFERING = 0.01  # share of them: a cosine on the edge of a tier may fall on either side


@dataclass(frozen=True)
class Exported:
    """What was exported, and how closely it was checked."""

    hash: str
    label: str
    folder: Path
    files: tuple[str, ...]
    retrained: bool  # whether the weights were not stored and the cell was trained again
    impressions: int  # test impressions on which the folder was compared with the benchmark
    onnx_difference: float  # largest difference between onnxruntime and PyTorch, of all outputs


def export(
    workspace: Workspace,
    name: str,
    folder: Path,
    matrix: Matrix | None = None,
    opset: int = OPSET,
    progress: ShareProgress = lambda share: None,
) -> Exported:
    """Write a folder with everything that serving a trained cell requires.

    If the weights of the cell are not stored, it is trained again, and its predictions must equal
    the stored ones. The weights are then stored beside its record.

    Args:
        workspace: The workspace that holds the results.
        name: A hash, DATASET/VERSION/MODE, or VERSION/MODE of a matrix; see `selecting.select`.
        folder: The folder to create.
        matrix: The matrix that selects the settings.
        opset: The version of the operators of ONNX.
        progress: Receives the completed share of the training.

    Raises:
        ConfigError: The folder exists, a library is missing, or the cell cannot be exported.
        ContractError: The mode or the backbone cannot be exported.
        DataError: The data set or the version has changed since the training.
        StoreError: The folder cannot be written, or a training gives other predictions.
        UnknownNameError: The data set, the version or the arm does not exist.
    """
    if folder.exists():
        raise ConfigError(f"{folder} exists; name a folder that does not exist.")
    check_opset(opset)
    record = select(workspace, name, matrix)
    cell, mode = record.cell, mode_of(record.cell)
    _require_data(workspace, cell, mode)
    state = Store(workspace).read_model(cell)
    retrained = state is None
    if state is None:
        state = _trained_again(workspace, cell, progress)
    parts = build(workspace, cell)
    _load_state(parts, state)
    images = {} if cell.version is None else images_of(workspace, cell, mode, parts.slots)
    lookups = _lookups(workspace, cell, parts, images)
    served = Served(parts.model, lookups.features)
    compared = _require_served(parts, served, lookups)
    rows = golden_rows(lookups)
    golden = [
        Golden(key, text, request, served.run(request))
        for key, (text, request) in requests_of(lookups, rows).items()
    ]
    with atomic_folder(folder) as temporary:
        write_onnx(served, golden[0].inputs, temporary / MODEL, opset)
        random = random_requests(lookups, cell.seed)
        difference = _require_onnx(temporary / MODEL, served, [g.inputs for g in golden] + random)
        _write_model(temporary, parts, cell, served)
        tables = _write_tables(temporary, workspace, cell, mode, lookups)
        (temporary / FEATURES).write_text(as_json(lookups.features), encoding="utf-8")
        raw = raw_impressions(
            Rows(workspace, parts.slots.impressions, parts.settings.history_length),
            rows,
            golden[0].outputs,
        )
        _write_golden(temporary, lookups, golden, raw)
        if images:
            arrays = write_encoder(temporary, mode, images, lookups.features.comparisons, cell.seed)
            require_same(mode, images, parts.prepared, arrays)
        for script in SCRIPTS:
            shutil.copyfile(Path(__file__).with_name(script), temporary / script)
        text = readme(record, served, lookups, tables, state, _opset_of(temporary / MODEL))
        (temporary / README).write_text(text, encoding="utf-8")
        _write_checksums(temporary)
        _require_folder(temporary, golden, served)
    names = tuple(
        sorted(str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file())
    )
    return Exported(record.hash, cell.label, folder, names, retrained, compared, difference)


def _require_data(workspace: Workspace, cell: Cell, mode: Injection) -> None:
    """Check that the data set and the version are those of the training.

    Raises:
        DataError: Their content differs.
    """
    found = impressions.read_manifest(workspace, cell.dataset, cell.outcome).content_hash
    if found != cell.data_hash:
        raise DataError(
            f"data set {cell.dataset!r} has changed since {cell.label} was trained: content "
            f"{found} instead of {cell.data_hash}. Import the same log again, or run the benchmark "
            "file and export a new cell."
        )
    if cell.version is None:
        return
    found = embeddings.read_manifest(workspace, cell.dataset, cell.version).hash_of(mode.reads)
    if found != cell.vectors_hash:
        raise DataError(
            f"version {cell.version!r} of {cell.dataset!r} has changed since {cell.label} was "
            f"trained: content {found} instead of {cell.vectors_hash}. Add the same vectors again, "
            "or run the benchmark file and export a new cell."
        )


def _trained_again(
    workspace: Workspace, cell: Cell, progress: ShareProgress
) -> dict[str, np.ndarray]:
    """Train a stored cell again, check that its predictions are the same, and store its weights."""
    record = run_cell(workspace, cell, (), environment(), progress, keep_model=True)
    state = Store(workspace).read_model(cell)
    if record is None or state is None:
        raise ConfigError(
            f"another process trains the cell {cell.hash} ({cell.label}) at this moment; wait "
            "until it ends."
        )
    return state


def _load_state(parts: CellParts, state: Mapping[str, np.ndarray]) -> None:
    import torch

    parts.model.cpu()
    parts.model.load_state_dict({name: torch.from_numpy(own) for name, own in state.items()})
    parts.model.eval()


def _lookups(
    workspace: Workspace, cell: Cell, parts: CellParts, images: Mapping[str | None, Images]
) -> Lookups:
    """Return what a server looks up.

    Raises:
        ContractError: The mode prepares values per history slot, and no rule for new pairs.
    """
    first = ""
    if cell.version is not None:
        first = embeddings.read_manifest(workspace, cell.dataset, cell.version).field
    comparisons = comparisons_of(parts.mode, first)
    by_part = {one.part for one in comparisons}
    for part, piece in parts.mode.pieces.items():
        start = f"{part}." if part else ""
        if any(name.startswith(start) for name in parts.prepared.slot) and part not in by_part:
            raise ContractError(
                f"{type(piece).__name__} prepares values per history slot, which a server cannot "
                "look up, and does not define how they follow from two vectors. Make it a "
                "`PairMode` and implement `pair_values`."
            )
    vectors = {
        one.key: Vectors(images[one.field].unit(one.centered), images[one.field].has_vector)
        for one in comparisons
    }
    features = features_of(parts.packer, parts.prepared, comparisons, vectors)
    return Lookups(parts.packer, parts.prepared, vectors, features)


def _require_served(parts: CellParts, served: Served, lookups: Lookups) -> int:
    """Check that requests give the predictions of the benchmark; return how many were compared.

    Raises:
        ContractError: They differ.
    """
    import torch

    test = parts.slots.impressions.rows("test")
    rows = np.unique(np.linspace(test.start, test.stop - 1, COMPARED).astype(np.int64))
    with torch.no_grad():
        expected = parts.model(parts.packer.pack(rows, None)).numpy()
    apart = _apart(served.run(lookups.request(rows))["logit"], expected)
    if (apart > TOLERANCE).mean() > MOST_DIFFERING:
        raise ContractError(
            f"{type(parts.mode).__name__} with {type(parts.model).__name__}: a server that looks "
            f"inputs up would predict {(apart > TOLERANCE).mean():.1%} of {len(rows)} test "
            f"impressions differently, by at most {apart.max():.2g}. `pair_values` must compute "
            "what `prepare` stores, and a logit must depend on its own impression only."
        )
    return len(rows)


def _require_onnx(path: Path, served: Served, requests: list[Request]) -> float:
    """Check that onnxruntime gives the outputs of PyTorch; return the largest difference.

    Raises:
        ContractError: They differ.
        DivergedError: An output is not finite.
    """
    import onnxruntime

    names, largest = served.features.names, 0.0
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        outputs = [session.run(list(OUTPUTS), {n: one[n] for n in names}) for one in requests]
    except Exception as error:  # onnxruntime has one class per kind of failure
        raise ContractError(
            f"{type(served.model.mode).__name__} with {type(served.model).__name__}: onnxruntime "
            f"{onnxruntime.__version__} cannot run the model: {first_line(error)} "
            "Sizes must come from shapes, never from values or len(); see docs/add_mode.md."
        ) from error
    for request, found in zip(requests, outputs, strict=True):
        expected = served.run(request)
        if not all(np.isfinite(expected[name]).all() for name in OUTPUTS):
            raise DivergedError(
                "the model gives infinite or undefined outputs on the golden requests: its weights "
                "diverged. Export a cell that was trained with a lower learning rate."
            )
        for name, values in zip(OUTPUTS, found, strict=True):
            apart = _apart(np.asarray(values), expected[name])
            largest = max(largest, float(apart.max(initial=0)))
    if not largest <= TOLERANCE:
        raise ContractError(
            f"{type(served.model.mode).__name__} with {type(served.model).__name__}: onnxruntime "
            f"{onnxruntime.__version__} computes outputs that differ by {largest:.2g} from those "
            f"of PyTorch; at most {TOLERANCE:g} is accepted. Install another onnxruntime."
        )
    return largest


def _apart(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Return differences, relative to numbers above 1."""
    return np.abs(found - expected) / np.maximum(1, np.abs(expected))


def _write_model(folder: Path, parts: CellParts, cell: Cell, served: Served) -> None:
    from safetensors.torch import save_file

    state = {name: values.contiguous() for name, values in parts.model.state_dict().items()}
    save_file(state, folder / STATE)
    found = describe(cell, parts.settings, parts.packer.sizes, served.features, parts.prepared)
    (folder / DESCRIPTION).write_text(as_json(found), encoding="utf-8")


def _write_tables(
    folder: Path, workspace: Workspace, cell: Cell, mode: Injection, lookups: Lookups
) -> dict[str, Any]:
    """Write the tables and return the names of those that exist."""
    name = lookups.packer.slots.impressions.manifest.name
    items = impressions.raw_item_ids(workspace, name)
    write_items(folder / ITEMS, lookups, items)
    given = {} if cell.version is None or cell.control else _given_codes(workspace, cell, mode)
    return {
        USERS: write_users(folder / USERS, lookups, impressions.raw_user_ids(workspace, name)),
        VALUES: write_vocabulary(folder / VALUES, lookups, workspace),
        CODES: write_codes(folder / CODES, mode, lookups.prepared, items, given),
    }


def _given_codes(workspace: Workspace, cell: Cell, mode: Injection) -> dict[str | None, np.ndarray]:
    """Return (V, L) codes that were made elsewhere, by vector field; None is the first."""
    assert cell.version is not None
    manifest = embeddings.read_manifest(workspace, cell.dataset, cell.version)
    tables = read_tables(workspace, cell, mode)
    return {
        field: np.asarray(tables[manifest.of(field).field].vectors)
        for field in mode.reads
        if manifest.of(field).code_counts
    }


def _write_golden(folder: Path, lookups: Lookups, golden: list[Golden], raw: Any) -> None:
    import pyarrow.parquet as pq

    write_json(folder / JSON, lookups.features, golden, raw)
    pq.write_table(raw, folder / PARQUET, compression="zstd")


def _opset_of(path: Path) -> int:
    import onnx

    return onnx.load(path, load_external_data=False).opset_import[0].version


def _write_checksums(folder: Path) -> None:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        path.chmod(0o644)  # safetensors writes files that only their owner may read
    digests = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }
    (folder / FILES).write_text(as_json(digests), encoding="utf-8")


def _require_folder(folder: Path, golden: list[Golden], served: Served) -> None:
    """Check the folder as its readers do: by its own script, and by loading the PyTorch model.

    Raises:
        ContractError: The folder does not reproduce its golden outputs.
    """
    problems, _ = serve_check.check(folder)
    again = load(folder)
    for one in golden:
        found = again.run(one.inputs)
        if max(_apart(found[name], one.outputs[name]).max() for name in OUTPUTS) > TOLERANCE:
            problems.append(f"{STATE} does not reproduce the golden batch {one.name}")
    if problems:
        raise ContractError(
            f"{type(served.model.mode).__name__} with {type(served.model).__name__} cannot be "
            f"exported: {'; '.join(problems)}."
        )
