"""results/: one record per cell, written whole or not at all, and its predictions beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np
from pydantic import ValidationError

from ctrbench.atomic import PARTIAL, atomic_file, write_json
from ctrbench.errors import StoreError
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

    def path(self, cell: Cell) -> Path:
        """Where the cell's record stands, or will stand."""
        return self.root / cell.dataset / cell.version_label / cell.mode / f"{cell.hash}.json"

    def read(self, cell: Cell) -> CellRecord | None:
        """The cell's record, or None if it was never run to an end.

        Raises:
            StoreError: the file is there but damaged, or is that of another cell.
        """
        path = self.path(cell)
        record = _record(path)
        if record is not None and record.cell.hash != cell.hash:
            raise StoreError(
                f"{path} is the record of another cell ({record.cell.label}), copied there or "
                "edited: restore it, or delete it and run the matrix again."
            )
        return record

    def records(self, dataset: str) -> Iterator[CellRecord]:
        """Every record of a data set, whatever matrix it came from."""
        for path in sorted((self.root / dataset).glob("*/*/*.json")):
            record = None if path.name.startswith(PARTIAL) else _record(path)
            if record is not None:
                yield record

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
        return _read_arrays(self._influence_path(cell))

    def ceiling_influence(self, dataset: str) -> dict[str, np.ndarray]:
        """(G,) float32 of the probability that clicks were drawn from; empty of a real log.

        Raises:
            StoreError: the file is there but damaged.
        """
        return _read_arrays(self._ceiling_path(dataset))

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
            return table["p_click"].to_numpy()[order]
        except (pa.ArrowException, OSError, KeyError) as error:
            raise StoreError(
                f"{path} is damaged ({str(error).splitlines()[0]}): restore it, or delete it; only "
                "slices that are new in a benchmark file need it."
            ) from error

    def write_trace(self, cell: Cell, trace: Trace) -> None:
        """Keep how a cell learned beside its record.

        Raises:
            StoreError: the folder cannot be written.
        """
        write_json(self._trace_path(cell), trace.model_dump(mode="json"))

    def read_trace(self, cell: Cell) -> Trace | None:
        """How the cell learned, where that was recorded.

        Raises:
            StoreError: the file is there but damaged.
        """
        return _read(self._trace_path(cell), Trace)

    def write_summary(
        self, summary: DatasetSummary, ceiling: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Keep a data set's description beside its records, and the ceiling's influence values."""
        if ceiling:
            _write_arrays(self._ceiling_path(summary.manifest.name), ceiling)
        write_json(self._summary_path(summary.manifest.name), summary.model_dump(mode="json"))

    def read_summary(self, dataset: str) -> DatasetSummary | None:
        """The description kept by the last run, if any."""
        return _read(self._summary_path(dataset), DatasetSummary)

    def write_version(self, manifest: VersionManifest) -> None:
        """Keep an embedding version's manifest beside its records."""
        write_json(
            self._version_path(manifest.dataset, manifest.name), manifest.model_dump(mode="json")
        )

    def read_version(self, dataset: str, version: str) -> VersionManifest | None:
        """The manifest kept by the last run, if any."""
        return _read(self._version_path(dataset, version), VersionManifest)

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


def _record(path: Path) -> CellRecord | None:
    """None if there is no such file.

    Raises:
        StoreError: it is damaged, or says that a cell is done and not how well.
    """
    record = _read(path, CellRecord)
    if record and record.status == "done" and not {"valid", "test"} <= record.metrics.keys():
        raise StoreError(
            f"{path} says that its cell is done, but lacks metrics of valid and test: restore it, "
            "or delete it and run the matrix again."
        )
    return record


def _read(path: Path, kind: type[Kind]) -> Kind | None:
    """None if there is no such file.

    Raises:
        StoreError: it is damaged, or cannot be read.
    """
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}. A record is a plain file that may be read: "
            "restore it, or remove it and run the matrix again."
        ) from error
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
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except (OSError, ValueError, EOFError, BadZipFile, KeyError) as error:
        raise StoreError(
            f"{path} is damaged ({error}): delete it and run the matrix again; it is made "
            "from the predictions where these were kept."
        ) from error
