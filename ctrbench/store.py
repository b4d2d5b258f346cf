"""Read and write results/: one record per cell, written atomically, with its predictions."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from ctrbench.arrays import blocks
from ctrbench.atomic import PARTIAL, atomic_file
from ctrbench.errors import DamagedError, StoreError, first_line
from ctrbench.identity import ContentHash, hash_json
from ctrbench.packs import PackedCell, Packs, write_pack
from ctrbench.schema import (
    Cell,
    CellRecord,
    DatasetManifest,
    Frozen,
    ImportedPredictions,
    Metrics,
    Trace,
    VersionManifest,
)
from ctrbench.sealed import (
    CURE,
    check_arrays,
    opened,
    read_arrays,
    sealed,
    write_arrays,
    write_sealed,
)
from ctrbench.workspace import Workspace

PUBLISHED = "published"  # folder of packs below results/
MODEL = ".safetensors"  # ending of weights
TRACE = ".trace"  # ending of traces, which are JSON; *.json are records
ROW_GROUP = 1 << 18  # predictions written at a time
OWNER = b"ctrbench.cell"  # metadata key of predictions: the hash of their cell
MODEL_OWNER, MODEL_CHECKSUM = "ctrbench.cell", "ctrbench.checksum"  # metadata keys of weights
Kind = TypeVar("Kind", bound=Frozen)


class DatasetSummary(Frozen):
    """What tables require of a data set, so that they can be made without its files."""

    manifest: DatasetManifest
    reference: Metrics | None  # test metrics of a simple rule, see runner.reference
    ceiling: Metrics | None = None  # test metrics of the true click probability, if known


class Store:
    """Reads and writes the records below a workspace's results/."""

    def __init__(self, workspace: Workspace) -> None:
        self.root = workspace.results
        self._packs = Packs(workspace.results / PUBLISHED)

    def path(self, cell: Cell) -> Path:
        """Return the path of the cell's record, which may not exist yet."""
        return self.root / cell.dataset / cell.version_label / cell.mode / f"{cell.hash}.json"

    def read(self, cell: Cell) -> CellRecord | None:
        """Return the cell's record; None if there is none.

        The cell's own file takes precedence over a pack.

        Raises:
            DamagedError: The file is damaged or belongs to another cell.
        """
        path = self.path(cell)
        record = _record(path)
        if record is None and (packed := self._packs.record(cell.hash)) is not None:
            path, text = packed
            record = _complete(_parsed(path, text, CellRecord), path)
        if record is not None and not record.hash == record.cell.hash == cell.hash:
            raise DamagedError(
                f"{path} is the record of another cell ({record.cell.label}). {CURE}"
            )
        return record

    def datasets(self) -> list[str]:
        """Return the names of all data sets with a record.

        Raises:
            StoreError: A record is damaged.
        """
        own = {path.parents[2].name for path in self.root.glob("*/*/*/*.json")}
        packed = (_parsed(path, text, CellRecord) for path, text in self._packs.records())
        return sorted(own | {record.cell.dataset for record in packed})

    def records(self, dataset: str) -> Iterator[CellRecord]:
        """Yield every record of a data set, from any matrix.

        Raises:
            StoreError: A record is damaged.
        """
        seen = set()
        for path in sorted((self.root / dataset).glob("*/*/*.json")):
            if path.name.startswith(PARTIAL):
                continue
            record = self.read_file(path)
            seen.add(record.hash)
            yield record
        for path, text in self._packs.records():
            record = _parsed(path, text, CellRecord)
            if record.cell.dataset == dataset and record.hash not in seen:
                yield _complete(record, path)

    def read_file(self, path: Path) -> CellRecord:
        """Return the record of a file.

        Raises:
            DamagedError: The file is missing or damaged, or its name is not that of its cell.
        """
        record = _record(path)
        if record is None:
            raise DamagedError(f"{path} is missing. {CURE}")
        if not path.stem == record.hash == record.cell.hash:
            raise DamagedError(
                f"{path} is the record of another cell ({record.cell.label}). {CURE}"
            )
        return record

    def packed_hashes(self) -> set[str]:
        """Return the hashes of all cells whose records are in packs.

        Raises:
            StoreError: A pack or one of its records is damaged.
        """
        return {_parsed(path, text, CellRecord).hash for path, text in self._packs.records()}

    def write(
        self,
        record: CellRecord,
        predictions: Mapping[str, np.ndarray],
        first_row: Mapping[str, int],
        influence: Mapping[str, np.ndarray],
    ) -> CellRecord:
        """Write predictions and influence values first, then the record that marks the cell done.

        Args:
            record: The cell's record.
            predictions: (n,) float32 p_click by period; empty for a failed cell.
            first_row: The row number of each period's first impression.
            influence: (G,) float, values per test user by slice and metric; see runner.measure.

        Returns:
            The record as stored.

        Raises:
            StoreError: The folder cannot be written; the record is not stored.
        """
        if predictions:
            self._write_predictions(record.cell, predictions, first_row)
        return self.update(record, influence)

    def update(
        self, record: CellRecord, influence: Mapping[str, np.ndarray] | None = None
    ) -> CellRecord:
        """Replace a stored record by one with additional metrics of the same predictions.

        Args:
            record: The new record.
            influence: All influence values of the cell; None keeps the stored ones.

        Returns:
            The record as stored.

        Raises:
            StoreError: The folder cannot be written.
        """
        if influence:
            write_arrays(self._influence_path(record.cell), record.cell.hash, influence)
            record = record.model_copy(update={"with_influence": True})
        write_sealed(self.path(record.cell), record.model_dump(mode="json"))
        return record

    def require_influence(self, record: CellRecord) -> None:
        """Check that the influence values of a record are complete and its own.

        Raises:
            DamagedError: They are missing or damaged, or belong to another cell.
        """
        path = self._influence_path(record.cell)
        try:
            check_arrays(path, record.cell.hash)
        except (FileNotFoundError, NotADirectoryError) as error:
            if record.with_influence and not self._packs.influence(record.cell.hash):
                raise DamagedError(f"{path} is missing. {CURE}") from error

    def influence(self, cell: Cell) -> dict[str, np.ndarray]:
        """Return (G,) float32 influence values by slice and metric; empty if not stored.

        Raises:
            DamagedError: The file is damaged, or belongs to another cell.
        """
        own = read_arrays(self._influence_path(cell), cell.hash)
        return own or self._packs.influence(cell.hash)

    def ceiling_influence(self, dataset: str) -> dict[str, np.ndarray]:
        """Return (G,) float32 influence values of the true probability; empty for a real log.

        Raises:
            StoreError: The file is damaged.
        """
        found = read_arrays(self._ceiling_path(dataset), hash_json(_ceiling_of(dataset)))
        return found or self._packs.influence(_ceiling_of(dataset))

    def measured(self, cell: Cell) -> set[str]:
        """Return the keys of slices, and `test`, that have stored influence values."""
        counts = (key for key in self.influence(cell) if key.endswith("/impressions"))
        return {key.removesuffix("/impressions") for key in counts}

    def has_predictions(self, cell: Cell) -> bool:
        """Return whether the predictions of a cell are stored."""
        return self._predictions_path(cell).exists()

    def predictions(self, cell: Cell, period: str, count: int | None = None) -> np.ndarray | None:
        """Return (n,) float32 p_click of a period in stored order; None if not stored.

        Args:
            cell: The cell.
            period: `valid` or `test`.
            count: The expected n; None skips the check.

        Raises:
            DamagedError: The file is damaged, or belongs to another cell or other impressions.
        """
        import pyarrow as pa
        import pyarrow.compute as pc
        import pyarrow.parquet as pq

        path = self._predictions_path(cell)
        if not path.exists():
            return None
        try:  # `read_table` hangs on some damaged files
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                table = file.read(columns=["period", "row", "p_click"])
            table = table.filter(pc.field("period") == period)
            owner = (table.schema.metadata or {}).get(OWNER, cell.hash.encode()).decode()
            order = np.argsort(table["row"].to_numpy(), kind="stable")
            p_click = table["p_click"].to_numpy()[order]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise DamagedError(
                f"{path} is damaged ({first_line(error)}). Restore it, or delete it: only "
                "new slices of a benchmark file require it."
            ) from error
        if owner != cell.hash:
            raise DamagedError(
                f"{path} belongs to the cell {owner}, not to {cell.hash}. Restore or delete it."
            )
        if not np.isfinite(p_click).all():
            raise DamagedError(f"{path} lacks predictions of {period}. Restore or delete it.")
        if count not in (None, len(p_click)):
            raise DamagedError(
                f"{path} covers {len(p_click):,} impressions of {period} instead of {count:,}. "
                "Restore or delete it."
            )
        return p_click

    def write_model(self, cell: Cell, state: Mapping[str, np.ndarray]) -> None:
        """Write the weights of a trained cell beside its record, with their checksum.

        Args:
            cell: The cell.
            state: The parameters and buffers of the model by name.

        Raises:
            StoreError: The folder cannot be written.
        """
        from safetensors.numpy import save

        arrays = {name: np.asarray(values, order="C") for name, values in state.items()}
        facts = {MODEL_OWNER: cell.hash, MODEL_CHECKSUM: _hash_of_model(arrays)}
        with atomic_file(self._model_path(cell)) as temporary:
            temporary.write_bytes(save(arrays, facts))  # `save_file` leaves another file if killed

    def has_model(self, cell: Cell) -> bool:
        """Return whether the weights of a cell are stored."""
        return self._model_path(cell).exists()

    def read_model(self, cell: Cell) -> dict[str, np.ndarray] | None:
        """Return the weights of a cell by name; None if they are not stored.

        Raises:
            DamagedError: The file is damaged, or belongs to another cell.
        """
        from safetensors import SafetensorError, safe_open

        path = self._model_path(cell)
        if not path.exists():
            return None
        try:
            with safe_open(path, framework="numpy") as file:
                facts = file.metadata() or {}
                state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError, ValueError) as error:
            raise DamagedError(
                f"{path} is damaged ({error}). Delete it; `ctrbench export` trains the cell again."
            ) from error
        owner, known = facts.get(MODEL_OWNER), facts.get(MODEL_CHECKSUM)
        if owner != cell.hash or known != _hash_of_model(state):
            what = f"belongs to the cell {owner}" if owner != cell.hash else "has another checksum"
            raise DamagedError(
                f"{path} {what}. Delete it; `ctrbench export` trains the cell {cell.hash} again."
            )
        return state

    def write_trace(self, cell: Cell, trace: Trace) -> None:
        """Write a cell's trace beside its record.

        Args:
            cell: The cell.
            trace: How it learned.

        Raises:
            StoreError: The folder cannot be written.
        """
        write_sealed(self._trace_path(cell), trace.model_dump(mode="json"))

    def read_trace(self, cell: Cell) -> Trace | None:
        """Return the cell's trace; None if it was not recorded.

        Raises:
            StoreError: The file is damaged, or has no point.
        """
        path = self._trace_path(cell)
        found = _read(path, Trace)
        if found is not None and not found.points:
            raise StoreError(
                f"{path} has no point of a learning curve. Delete it and record it again with "
                "`ctrbench run FILE --trace`."
            )
        return found

    def write_summary(
        self, summary: DatasetSummary, ceiling: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Write a data set's description beside its records.

        Args:
            summary: The description.
            ceiling: (G,) float, influence values of the true click probability, if known.

        Raises:
            StoreError: The folder cannot be written.
        """
        if ceiling:
            name = summary.manifest.name
            write_arrays(self._ceiling_path(name), hash_json(_ceiling_of(name)), ceiling)
        write_sealed(
            self._summary_path(summary.manifest.name, summary.manifest.outcome),
            summary.model_dump(mode="json"),
        )

    def read_summary(self, dataset: str, label: str | None = None) -> DatasetSummary | None:
        """Return a data set's description from the last run or a pack, if any.

        Args:
            dataset: The name of the data set.
            label: The predicted label; None: the click.

        Raises:
            StoreError: The file is damaged.
        """
        found = _read(self._summary_path(dataset, label), DatasetSummary)
        if found is not None:
            return found
        for path, facts in self._packs.facts():
            manifest = facts["dataset"]["manifest"]
            if (manifest["name"], manifest.get("outcome")) == (dataset, label):
                return _parsed(path, json.dumps(facts["dataset"]), DatasetSummary)
        return None

    def write_version(self, manifest: VersionManifest) -> None:
        """Write an embedding version's manifest beside its records.

        Raises:
            StoreError: The folder cannot be written.
        """
        write_sealed(
            self._version_path(manifest.dataset, manifest.name), manifest.model_dump(mode="json")
        )

    def read_version(self, dataset: str, version: str) -> VersionManifest | None:
        """Return a version's manifest from the last run or a pack, if any.

        Args:
            dataset: The data set's name.
            version: The version's name.

        Raises:
            StoreError: The file is damaged.
        """
        found = _read(self._version_path(dataset, version), VersionManifest)
        if found is not None:
            return found
        for path, facts in self._packs.facts():
            if facts["dataset"]["manifest"]["name"] == dataset and version in facts["versions"]:
                return _parsed(path, json.dumps(facts["versions"][version]), VersionManifest)
        return None

    def write_imported(self, manifest: ImportedPredictions) -> None:
        """Write the description of imported predictions beside their records.

        Raises:
            StoreError: The folder cannot be written.
        """
        path = self._imported_path(manifest.dataset, manifest.name, manifest.outcome)
        write_sealed(path, manifest.model_dump(mode="json"))

    def read_imported(
        self, dataset: str, name: str, label: str | None = None
    ) -> ImportedPredictions | None:
        """Return the description of imported predictions from results/ or a pack, if any.

        Args:
            dataset: The data set's name.
            name: The name of the predictions.
            label: The predicted label; None: the click.

        Raises:
            StoreError: The file is damaged.
        """
        found = _read(self._imported_path(dataset, name, label), ImportedPredictions)
        if found is not None:
            return found
        for path, manifests in self._packed_imports(dataset, label):
            if name in manifests:
                return _parsed(path, json.dumps(manifests[name]), ImportedPredictions)
        return None

    def imported_names(self, dataset: str, label: str | None = None) -> list[str]:
        """Return the sorted names of the imported predictions of a data set.

        Args:
            dataset: The data set's name.
            label: The predicted label; None: the click.
        """
        pattern = self._imported_path(dataset, "*", label).relative_to(self.root)
        found = {path.parent.name for path in self.root.glob(str(pattern))}
        return sorted(found.union(*(names for _, names in self._packed_imports(dataset, label))))

    def _packed_imports(
        self, dataset: str, label: str | None
    ) -> Iterator[tuple[Path, dict[str, Any]]]:
        """Yield each pack of a data set with its descriptions of predictions, by name."""
        for path, facts in self._packs.facts():
            manifest = facts["dataset"]["manifest"]
            if (manifest["name"], manifest.get("outcome")) == (dataset, label):
                yield path, facts.get("predictions", {})

    def version_names(self, dataset: str) -> list[str]:
        """Return the sorted names of the versions that the last runs, or packs, kept."""
        found = {path.parent.name for path in (self.root / dataset).glob("*/version.json")}
        for _, facts in self._packs.facts():
            if facts["dataset"]["manifest"]["name"] == dataset:
                found |= set(facts["versions"])
        return sorted(found)

    def pack(
        self, path: Path, cells: Iterable[Cell], dataset: str, measures: Collection[str]
    ) -> int:
        """Write the stored cells of one matrix into one file and return their number.

        Args:
            path: The Parquet file. Below results/published/ it replaces the cells' own files.
            cells: The cells of the matrix; those without a record are skipped.
            dataset: The matrix's data set.
            measures: The keys of the measures to write, such as `test/gauc`, which includes
                `test/gauc/items`; other influence values are omitted.

        Raises:
            StoreError: A record is damaged, no cell is stored, or the file cannot be written.
        """
        stored = [record for cell in cells if (record := self.read(cell)) is not None]
        label = stored[0].cell.outcome if stored else None
        summary = self.read_summary(dataset, label)
        if summary is None or not stored:
            raise StoreError("no cell of the matrix is stored. Run it first.")
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
        imported = {r.cell.version or "" for r in stored if r.cell.imported}
        described = {name: self.read_imported(dataset, name, label) for name in sorted(imported)}
        if described:
            facts["predictions"] = {
                name: one.model_dump(mode="json") for name, one in described.items() if one
            }
        packed = [
            PackedCell(
                record.hash,
                json.dumps(sealed(record.model_dump(mode="json")), ensure_ascii=False),
                _chosen(self.influence(record.cell), measures),
            )
            for record in stored
        ]
        if ceiling := self.ceiling_influence(dataset):
            packed.append(PackedCell(_ceiling_of(dataset), "", _chosen(ceiling, measures)))
        write_pack(path, packed, facts)
        return len(stored)

    def _trace_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(TRACE)

    def _model_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(MODEL)

    def _predictions_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".parquet")

    def _influence_path(self, cell: Cell) -> Path:
        return self.path(cell).with_suffix(".users.npz")

    def _ceiling_path(self, dataset: str) -> Path:
        return self.root / dataset / "ceiling.users.npz"

    def _summary_path(self, dataset: str, label: str | None) -> Path:
        return self.root / dataset / f"dataset{f'.{label}' if label else ''}.json"

    def _imported_path(self, dataset: str, name: str, label: str | None) -> Path:
        return self.root / dataset / name / f"predictions{f'.{label}' if label else ''}.json"

    def _version_path(self, dataset: str, version: str) -> Path:
        return self.root / dataset / version / "version.json"

    def _write_predictions(
        self, cell: Cell, predictions: Mapping[str, np.ndarray], first_row: Mapping[str, int]
    ) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        schema = pa.schema(
            {
                "period": pa.dictionary(pa.int32(), pa.string()),
                "row": pa.int64(),
                "p_click": pa.float32(),
            },
            {OWNER: cell.hash.encode()},
        )
        written = {"compression": "zstd", "write_page_checksum": True}
        with (
            atomic_file(self._predictions_path(cell)) as temporary,
            pq.ParquetWriter(temporary, schema, **written) as writer,
        ):
            for period, p_click in predictions.items():
                for part in blocks(len(p_click), ROW_GROUP):
                    rows = np.arange(part.start, part.stop)
                    name = pa.DictionaryArray.from_arrays(np.zeros(len(rows), np.int32), [period])
                    row, own = first_row[period] + rows, p_click[part].astype(np.float32)
                    columns = [name, pa.array(row), pa.array(own)]
                    writer.write_table(pa.table(columns, schema=schema))


def _hash_of_model(state: Mapping[str, np.ndarray]) -> str:
    content = ContentHash()
    for name in sorted(state):
        content.array(name, np.atleast_1d(state[name]))
    return content.hexdigest()


def _chosen(
    influence: Mapping[str, np.ndarray], measures: Collection[str]
) -> dict[str, np.ndarray]:
    """Return the arrays of some measures, and the counts that mark slices as measured."""
    return {
        key: values
        for key, values in influence.items()
        if key.endswith("/impressions")
        or any(key == measure or key.startswith(f"{measure}/") for measure in measures)
    }


def _ceiling_of(dataset: str) -> str:
    """Return the key of a data set's ceiling in a pack."""
    return f"ceiling of {dataset}"


def _record(path: Path) -> CellRecord | None:
    """Return the record of a file; None if the file does not exist.

    Raises:
        StoreError: The file is damaged, or a finished cell lacks metrics.
    """
    record = _read(path, CellRecord)
    return record and _complete(record, path)


def _complete(record: CellRecord, path: Path) -> CellRecord:
    """Return the record if a finished cell has all metrics.

    Raises:
        StoreError: A metric is missing or not finite.
    """
    needed = {"test"} if record.cell.imported else {"valid", "test"}
    if record.status == "done" and not needed <= record.metrics.keys():
        raise DamagedError(
            f"{path}: the cell is done, but metrics of valid or test are missing. Restore the "
            "file, or delete it and run the matrix again."
        )
    measured = (record.metrics, record.slices, record.probes)
    numbers = (metrics.values.values() for part in measured for metrics in part.values())
    if any(isinstance(n, float) and not math.isfinite(n) for own in numbers for n in own):
        raise DamagedError(
            f"{path} has a metric that is not finite, which ctrbench never writes. Restore it, or "
            "delete it and run the matrix again."
        )
    return record


def _require_plain(path: Path) -> None:
    """Raise an error for folders, and for pipes, which would block the reader."""
    if path.exists() and not path.is_file():
        raise StoreError(f"{path} is not a plain file. Remove it and run the matrix again.")


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    """Return the content of a JSON file; None if the file does not exist.

    Raises:
        StoreError: The file is damaged, or cannot be read.
    """
    _require_plain(path)
    try:
        text = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}. Make it readable, or remove it and run the "
            "matrix again."
        ) from error
    return _parsed(path, text, kind)


def _parsed(path: Path, text: str | bytes, kind: type[Kind]) -> Kind:
    """Return the validated content of a JSON file.

    Raises:
        DamagedError: The content is not valid, or differs from its checksum.
    """
    try:
        return kind.model_validate_json(opened(path, text))
    except ValidationError as error:
        raise DamagedError(
            f"{path} is not a record that this version of ctrbench can read: "
            f"{error.errors()[0]['msg']}. Restore it, or delete it and run the matrix again."
        ) from error
