"""results/: one record per cell, written whole or not at all, and its predictions beside it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from pydantic import ValidationError

from ctrbench.atomic import PARTIAL, atomic_file, write_json
from ctrbench.errors import StoreError
from ctrbench.packs import PackedCell, Packs, write_pack
from ctrbench.schema import (
    Cell,
    CellRecord,
    DatasetManifest,
    Frozen,
    Metrics,
    Trace,
    VersionManifest,
)
from ctrbench.workspace import Workspace

PUBLISHED = "published"  # folder of packs below results/
Kind = TypeVar("Kind", bound=Frozen)


class DatasetSummary(Frozen):
    """What tables need to know of a data set; lets them be rebuilt without its files."""

    manifest: DatasetManifest
    reference: Metrics | None  # test metrics of a simple rule, see runner.reference
    ceiling: Metrics | None = None  # of the probability that clicks were drawn from, if known


class Store:
    """The records below one workspace's results/."""

    def __init__(self, workspace: Workspace) -> None:
        self.root = workspace.results
        self._packs = Packs(workspace.results / PUBLISHED)

    def path(self, cell: Cell) -> Path:
        """Where the cell's record stands, or will stand."""
        return self.root / cell.dataset / cell.version_label / cell.mode / f"{cell.hash}.json"

    def read(self, cell: Cell) -> CellRecord | None:
        """The cell's record, or None if it was never run to an end.

        A record of its own goes before one in a pack.

        Raises:
            StoreError: the file is there but damaged, or is that of another cell.
        """
        path = self.path(cell)
        record = _record(path)
        if record is None and (packed := self._packs.record(cell.hash)) is not None:
            path, text = packed
            record = _complete(_parsed(path, text, CellRecord), path)
        if record is not None and record.cell.hash != cell.hash:
            raise StoreError(
                f"{path} is the record of another cell ({record.cell.label}), copied there or "
                "edited: restore it, or delete it and run the matrix again."
            )
        return record

    def records(self, dataset: str) -> Iterator[CellRecord]:
        """Every record of a data set, whatever matrix it came from."""
        seen = set()
        for path in sorted((self.root / dataset).glob("*/*/*.json")):
            record = None if path.name.startswith(PARTIAL) else _record(path)
            if record is not None:
                seen.add(record.hash)
                yield record
        for path, text in self._packs.records():
            record = _parsed(path, text, CellRecord)
            if record.cell.dataset == dataset and record.hash not in seen:
                yield _complete(record, path)

    def write(
        self,
        record: CellRecord,
        predictions: Mapping[str, np.ndarray],
        first_row: Mapping[str, int],
        influence: Mapping[str, np.ndarray],
    ) -> None:
        """Store predictions and influence values first, then the record that vouches for them.

        Args:
            record: of the cell.
            predictions: (n,) float32 p_click by period; empty for a failed cell.
            first_row: row number of each period's first impression.
            influence: (G,) values per test user, by slice and metric; see runner.measure.

        Raises:
            StoreError: the folder cannot be written; nothing is stored then.
        """
        if predictions:
            self._write_predictions(record.cell, predictions, first_row)
        self.update(record, influence)

    def update(self, record: CellRecord, influence: Mapping[str, np.ndarray] | None = None) -> None:
        """Replace a stored record by one with further metrics of the same predictions."""
        if influence:
            _write_arrays(self._influence_path(record.cell), influence)
        write_json(self.path(record.cell), record.model_dump(mode="json"))

    def influence(self, cell: Cell) -> dict[str, np.ndarray]:
        """(G,) float32 by slice and metric; empty where none was kept.

        Raises:
            StoreError: the file is there but damaged.
        """
        return _read_arrays(self._influence_path(cell)) or self._packs.influence(cell.hash)

    def ceiling_influence(self, dataset: str) -> dict[str, np.ndarray]:
        """(G,) float32 of the probability that clicks were drawn from; empty of a real log.

        Raises:
            StoreError: the file is there but damaged.
        """
        found = _read_arrays(self._ceiling_path(dataset))
        return found or self._packs.influence(_ceiling_of(dataset))

    def measured(self, cell: Cell) -> set[str]:
        """The slices, and `test`, for which influence values are stored."""
        counts = (key for key in self.influence(cell) if key.endswith("/impressions"))
        return {key.removesuffix("/impressions") for key in counts}

    def predictions(self, cell: Cell, period: str) -> np.ndarray | None:
        """(n,) float32 p_click of a period in stored order; None where only the record was kept.

        Raises:
            StoreError: the file is there but damaged.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        path = self.path(cell).with_suffix(".parquet")
        if not path.exists():
            return None
        wanted = {"columns": ["row", "p_click"], "filters": [("period", "==", period)]}
        try:
            table = pq.read_table(path, **wanted)
            order = np.argsort(table["row"].to_numpy(), kind="stable")
            p_click = table["p_click"].to_numpy()[order]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StoreError(
                f"{path} is damaged ({str(error).splitlines()[0]}): restore it, or delete it; only "
                "slices that are new in a benchmark file need it."
            ) from error
        if not np.isfinite(p_click).all():
            raise StoreError(f"{path} lacks predictions of {period}: restore it, or delete it.")
        return p_click

    def write_trace(self, cell: Cell, trace: Trace) -> None:
        """Keep how a cell learned beside its record.

        Raises:
            StoreError: the folder cannot be written.
        """
        write_json(self._trace_path(cell), trace.model_dump(mode="json"))

    def read_trace(self, cell: Cell) -> Trace | None:
        """How the cell learned, where that was recorded.

        Raises:
            StoreError: the file is there but damaged, or has no point.
        """
        path = self._trace_path(cell)
        found = _read(path, Trace)
        if found is not None and not found.points:
            raise StoreError(
                f"{path} holds no point of a learning curve: delete it; `ctrbench run FILE "
                "--trace` records it once more."
            )
        return found

    def write_summary(
        self, summary: DatasetSummary, ceiling: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Keep a data set's description beside its records, and the ceiling's influence values."""
        if ceiling:
            _write_arrays(self._ceiling_path(summary.manifest.name), ceiling)
        write_json(self._summary_path(summary.manifest.name), summary.model_dump(mode="json"))

    def read_summary(self, dataset: str) -> DatasetSummary | None:
        """The description kept by the last run, or in a pack, if any."""
        found = _read(self._summary_path(dataset), DatasetSummary)
        if found is not None:
            return found
        for path, facts in self._packs.facts():
            if facts["dataset"]["manifest"]["name"] == dataset:
                return _parsed(path, json.dumps(facts["dataset"]), DatasetSummary)
        return None

    def write_version(self, manifest: VersionManifest) -> None:
        """Keep an embedding version's manifest beside its records."""
        write_json(
            self._version_path(manifest.dataset, manifest.name), manifest.model_dump(mode="json")
        )

    def read_version(self, dataset: str, version: str) -> VersionManifest | None:
        """The manifest kept by the last run, or in a pack, if any."""
        found = _read(self._version_path(dataset, version), VersionManifest)
        if found is not None:
            return found
        for path, facts in self._packs.facts():
            if facts["dataset"]["manifest"]["name"] == dataset and version in facts["versions"]:
                return _parsed(path, json.dumps(facts["versions"][version]), VersionManifest)
        return None

    def pack(self, path: Path, cells: Iterable[Cell], dataset: str) -> int:
        """Write the stored cells of one matrix into one file; how many there are.

        Args:
            path: the Parquet file; below results/published/ it is read like the cells' own files.
            cells: of the matrix; those that are not stored are left out.
            dataset: the matrix' data set.

        Raises:
            StoreError: a record is damaged, nothing is stored, or the file cannot be written.
        """
        stored = [record for cell in cells if (record := self.read(cell)) is not None]
        summary = self.read_summary(dataset)
        if summary is None or not stored:
            raise StoreError("no cell of the matrix is stored: run it first.")
        names = dict.fromkeys(r.cell.version for r in stored if r.cell.version is not None)
        manifests = {name: self.read_version(dataset, name) for name in names}
        facts = {
            "dataset": summary.model_dump(mode="json"),
            "versions": {
                name: manifest.model_dump(mode="json")
                for name, manifest in manifests.items()
                if manifest is not None
            },
        }
        packed = [
            PackedCell(record.hash, record.model_dump_json(), self.influence(record.cell))
            for record in stored
        ]
        if ceiling := self.ceiling_influence(dataset):
            packed.append(PackedCell(_ceiling_of(dataset), "", ceiling))
        write_pack(path, packed, facts)
        return len(stored)

    def _trace_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".trace")  # JSON, yet no record

    def _influence_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".users.npz")

    def _ceiling_path(self, dataset: str) -> Path:
        return self.root / dataset / "ceiling.users.npz"

    def _summary_path(self, dataset: str) -> Path:
        return self.root / dataset / "dataset.json"

    def _version_path(self, dataset: str, version: str) -> Path:
        return self.root / dataset / version / "version.json"

    def _write_predictions(
        self, cell: Cell, predictions: Mapping[str, np.ndarray], first_row: Mapping[str, int]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        periods = [np.full(len(p), period) for period, p in predictions.items()]
        rows = [first_row[period] + np.arange(len(p)) for period, p in predictions.items()]
        table = pa.table(
            {
                "period": pa.array(np.concatenate(periods)).dictionary_encode(),
                "row": np.concatenate(rows),
                "p_click": np.concatenate([p.astype(np.float32) for p in predictions.values()]),
            }
        )
        with atomic_file(self.path(cell).with_suffix(".parquet")) as temporary:
            pq.write_table(table, temporary, compression="zstd")


def _ceiling_of(dataset: str) -> str:
    """What stands in a pack in place of a cell's hash."""
    return f"ceiling of {dataset}"


def _record(path: Path) -> CellRecord | None:
    """None if there is no such file.

    Raises:
        StoreError: it is damaged, or of a cell that is done without saying how well.
    """
    record = _read(path, CellRecord)
    return record and _complete(record, path)


def _complete(record: CellRecord, path: Path) -> CellRecord:
    """The record, if it says how well a finished cell did.

    Raises:
        StoreError: it does not.
    """
    if record.status == "done" and not {"valid", "test"} <= record.metrics.keys():
        raise StoreError(
            f"{path} says that its cell is done, but lacks metrics of valid and test: restore it, "
            "or delete it and run the matrix again."
        )
    measured = (record.metrics, record.slices, record.probes) if record else ()
    numbers = (vars(metrics).values() for part in measured for metrics in part.values())
    if any(isinstance(n, float) and not math.isfinite(n) for own in numbers for n in own):
        raise StoreError(
            f"{path} holds a metric that is no finite number, which ctrbench never writes: restore "
            "it, or delete it and run the matrix again."
        )
    return record


def _require_plain(path: Path) -> None:
    """Refuse folders, and pipes, whose reader would wait for ever."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is no plain file: remove it and run the matrix again.")


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    """None if there is no such file.

    Raises:
        StoreError: it is damaged, or cannot be read.
    """
    _require_plain(path)
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}. A record is a plain file that may be read: "
            "restore it, or remove it and run the matrix again."
        ) from error
    return _parsed(path, text, kind)


def _parsed(path: Path, text: str | bytes, kind: type[Kind]) -> Kind:
    """The JSON of a file as what it is.

    Raises:
        StoreError: it is no such JSON.
    """
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        raise StoreError(
            f"{path} is not a record this version can read: {error.errors()[0]['msg']}. "
            "Restore it, or delete it and run the matrix again."
        ) from error


def _write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    with atomic_file(path) as temporary:
        short: Any = {key: values.astype(np.float32) for key, values in arrays.items()}
        np.savez_compressed(temporary, **short)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Empty if there is no such file."""
    _require_plain(path)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, EOFError, BadZipFile, KeyError, TypeError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): delete it and run the matrix again; it is made "
            "from the predictions where these were kept."
        ) from error
