"""Every reader of files from strangers, with valid and hostile samples of its files."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import shutil
import struct
import sys
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import faiss
import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from PIL import Image
from pyarrow import feather, orc
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_tensors

from ctrbench import impressions, schema
from ctrbench.analysis.prediction_files import read_predictions
from ctrbench.benchmark_file import read_benchmark
from ctrbench.datasets._sources import find_parts
from ctrbench.datasets._tables import read_table
from ctrbench.embeddings import versions
from ctrbench.embeddings.readers import Source, read
from ctrbench.errors import DataError
from ctrbench.identity import hash_json
from ctrbench.importing import relations
from ctrbench.importing.images import copy_images
from ctrbench.pretraining.encoders._weights import load_weights
from ctrbench.pretraining.fitting import CHECKPOINT
from ctrbench.pretraining.pictures import cropped, decode
from ctrbench.runner.cell import run_cell
from ctrbench.sealed import write_arrays, write_sealed
from ctrbench.serving import encode, export, serve_check
from ctrbench.serving.loading import load
from ctrbench.store import Store
from ctrbench.workspace import Workspace
from ctrbench.yaml_file import read_settings, read_yaml
from data_synth.world import WorldConfig
from data_synth.writing import write_world
from tests.benchmark import SMALL, matrix
from tests.pretraining.made import SMALL as PRETRAINING
from tests.pretraining.made import trained

IDS = np.array([7, 12, 42])
VECTORS = np.array([[0.5, -1.0], [2.0, 0.0], [1e-3, 7.0]], np.float32)
NAMES = ["a", "\x1b[2J", "\u202egnp.exe"]
HUGE = 1 << 40
ZEROS = 1 << 25  # bytes of a decompression bomb, unpacked

Make = Callable[[Path], object]  # writes the files of a sample into a folder


@dataclass(frozen=True)
class Target:
    """One reader."""

    name: str
    read: Callable[[Path, Path], object]  # folder of the files, an empty folder
    samples: tuple[Make, ...]  # valid files, which are changed
    hostile: tuple[Make, ...] = ()  # files that must be refused, read as they are


def targets() -> dict[str, Target]:
    """Return all targets by name."""
    found = [
        *(
            Target(f"vectors_{kind}", _vectors, made, HOSTILE_VECTORS.get(kind, ()))
            for kind, made in VECTOR_FILES.items()
        ),
        Target("ids", _vectors, (_ids_npy, _ids_txt, _ids_csv, _ids_json), (_ids_no_text,)),
        Target("codes", _codes, (_codes_levels, _codes_lists), HOSTILE_CODES),
        Target("yaml", _read_yaml, (_yaml,), HOSTILE_YAML),
        Target("pictures", _decode, tuple(_picture(*one) for one in PICTURES), HOSTILE_PICTURES),
        Target("pictures_parquet", _copy_images, (_picture_table,)),
        *(
            Target(f"table_{kind}", _table, made, HOSTILE_LOGS.get(kind, (damaged(made[-1]),)))
            for kind, made in LOGS.items()
        ),
        Target("delta", _delta_parts, (_delta,), (_delta_outside, _delta_long_name)),
        Target("predictions", _read_predictions, (_predictions_csv, _predictions_parquet)),
        Target("store", _read_store, (_store,), (_store_of_other_levels, _pack_of_other_columns)),
        Target("manifests", _read_manifests, (_manifests,), (_manifests_open_header,)),
        Target("weights", _load_weights, (_weights_safetensors, _weights_pt), (_weights_evil,)),
        Target("checkpoints", _resume, CHECKPOINTS, HOSTILE_CHECKPOINTS),
        Target("served", _check_served, (_served,), HOSTILE_SERVED),
        Target("exported", _encode, (_exported,), (_exported_huge, _exported_outside)),
    ]
    return {one.name: one for one in found}


def _vectors(folder: Path, scratch: Path) -> None:
    (vectors,) = folder.glob("vectors*")
    ids = next(folder.glob("ids.*"), None)
    for block in read(Source(vectors, ids), scratch):
        assert block.vectors.shape[0] == len(block.ids), "a block has another number of ids"
        assert block.vectors.ndim == 2, "a block has no two dimensions"
        with np.errstate(all="ignore"):
            block.vectors.sum(dtype=np.float64)
        "".join(block.ids).encode()


def _codes(folder: Path, scratch: Path) -> None:
    for block in read(Source(folder / "vectors.parquet", codes=True), scratch):
        assert block.vectors.shape[0] == len(block.ids)


# Vectors


def _npy(folder: Path) -> None:
    np.save(folder / "vectors.npy", VECTORS)
    (folder / "ids.txt").write_text("7\n12\n42\n")


def _npy_of_objects(folder: Path) -> None:
    np.save(folder / "vectors.npy", np.array([Evil()], object), allow_pickle=True)
    (folder / "ids.txt").write_text("7\n")


def _npy_of_huge_shape(folder: Path) -> None:
    (folder / "vectors.npy").write_bytes(header((HUGE, 4)))
    (folder / "ids.txt").write_text("7\n")


def _npy_of_empty_rows(folder: Path) -> None:
    (folder / "vectors.npy").write_bytes(header((HUGE, 0)))
    (folder / "ids.txt").write_text("7\n")


class Evil:
    """An object whose pickle writes a file."""

    def __reduce__(self) -> Any:
        return (exec, ("open('../outside', 'w').close()",))


def header(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """Return the header of a `.npy` file.

    Args:
        shape: The shape that it claims.
        kind: The dtype.
    """
    target = io.BytesIO()
    facts = {"descr": kind, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(target, facts)
    return target.getvalue()


def _npz(folder: Path) -> None:
    np.savez(folder / "vectors.npz", key=IDS, value=VECTORS)


def _npz_with_ids(folder: Path) -> None:
    np.savez_compressed(folder / "vectors.npz", VECTORS)
    np.save(folder / "ids.npy", np.array(NAMES))


def _npz_outside(folder: Path) -> None:
    with zipfile.ZipFile(folder / "vectors.npz", "w") as archive:
        for name, values in (("../outside", IDS), ("/tmp/outside", VECTORS)):
            content = io.BytesIO()
            np.save(content, values)
            archive.writestr(f"{name}.npy", content.getvalue())


def _npz_bomb(folder: Path) -> None:
    """Ids and vectors of zeros, which are a thousand times smaller in the archive."""
    with zipfile.ZipFile(folder / "vectors.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        count = ZEROS // 8
        archive.writestr("key.npy", header((count,), "<i8") + bytes(8 * count))
        archive.writestr("value.npy", header((count, 2)) + bytes(8 * count))


def _npz_of_objects(folder: Path) -> None:
    np.savez(folder / "vectors.npz", key=np.array([Evil()], object), value=VECTORS[:1])


def _parquet(folder: Path) -> None:
    table = pa.table({"item_id": IDS, "vector": list(VECTORS)})
    pq.write_table(table, folder / "vectors.parquet", compression="none", row_group_size=2)


def _parquet_columns(folder: Path) -> None:
    table = pa.table({"key": NAMES, "d0": VECTORS[:, 0], "d1": VECTORS[:, 1]})
    pq.write_table(table, folder / "vectors.parquet", write_page_checksum=True)


def _parquet_texts(folder: Path) -> None:
    table = pa.table({"item_id": IDS, "vector": [str(row.tolist()) for row in VECTORS]})
    pq.write_table(table, folder / "vectors.parquet", use_dictionary=False, compression="gzip")


def _parquet_bomb(folder: Path) -> None:
    """Equal rows, of which millions fit into some bytes."""
    rows = 1 << 22
    table = pa.table({"item_id": pa.array(np.zeros(rows, np.int64)), "d0": np.zeros(rows)})
    pq.write_table(table, folder / "vectors.parquet", compression="zstd")


def _parquet_of_other_levels(folder: Path) -> None:
    """A column that claims to be required, so that the histogram of its levels is too long.

    pyarrow ends the process if it reads the metadata of this column.
    """
    _parquet(folder)
    path = folder / "vectors.parquet"
    optional = b"\x25\x02\x18\x07element"
    path.write_bytes(path.read_bytes().replace(optional, b"\x25\x00" + optional[2:]))


def _parquet_one_long_id(folder: Path) -> None:
    """A text of 1 MiB, to which all rows refer."""
    ids = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ["a" * (1 << 20)])
    table = pa.table({"item_id": ids, "d0": np.zeros(1000)})
    pq.write_table(table, folder / "vectors.parquet", compression="none")


def _arrow_one_long_id(folder: Path) -> None:
    ids = pa.DictionaryArray.from_arrays(np.zeros(1000, np.int32), ["a" * (1 << 20)])
    table = pa.table({"item_id": ids, "d0": np.zeros(1000)})
    with pa.ipc.new_file(folder / "vectors.arrow", table.schema) as writer:
        writer.write_table(table)


def _arrow_overlapping_views(folder: Path) -> None:
    """Rows of 65,536 numbers each, which are the same ones."""
    rows, width = 4096, 1 << 16
    offsets, sizes = np.zeros(rows, np.int32), np.full(rows, width, np.int32)
    views = pa.ListViewArray.from_arrays(offsets, sizes, pa.array(np.zeros(width, np.float32)))
    table = pa.table({"item_id": np.arange(rows), "vector": views})
    with pa.ipc.new_file(folder / "vectors.arrow", table.schema) as writer:
        writer.write_table(table)


def _ipc_table() -> pa.Table:
    lists = pa.array(list(VECTORS), pa.list_(pa.float32()))
    fixed = pa.FixedSizeListArray.from_arrays(VECTORS.ravel(), 2)
    return pa.table({"item_id": NAMES, "vector": lists, "other": IDS, "fixed": fixed}).drop("fixed")


def _arrow(folder: Path) -> None:
    table = _ipc_table()
    with pa.ipc.new_file(folder / "vectors.arrow", table.schema) as writer:
        writer.write_table(table)


def _arrow_stream(folder: Path) -> None:
    table = pa.table(
        {
            "item_id": pa.array(NAMES).dictionary_encode(),
            "vector": pa.FixedSizeListArray.from_arrays(VECTORS.ravel(), 2),
        }
    )
    with pa.ipc.new_stream(folder / "vectors.arrow", table.schema) as writer:
        writer.write_table(table)


def _arrow_views(folder: Path) -> None:
    offsets, sizes = pa.array([4, 0, 2], pa.int32()), pa.array([2, 2, 2], pa.int32())
    views = pa.ListViewArray.from_arrays(offsets, sizes, pa.array(VECTORS.ravel()))
    table = pa.table({"item_id": pa.array(NAMES, pa.string_view()), "vector": views})
    with pa.ipc.new_file(folder / "vectors.arrow", table.schema) as writer:
        writer.write_table(table)


def _feather(folder: Path) -> None:
    feather.write_feather(_ipc_table(), folder / "vectors.feather", compression="zstd")


def _csv(folder: Path) -> None:
    text = 'title,item_id,vector\nx,7,"[0.5, -1]"\ny,12,"[2, 0]"\n'
    (folder / "vectors.csv").write_text(text)


def _csv_columns(folder: Path) -> None:
    (folder / "vectors.csv").write_text("item_id,d0,d1\n7,0.5,-1\n12,2,0\n\x1b[2J,1e-3,7\n")


def _csv_gz(folder: Path) -> None:
    text = b"item_id\td0\td1\n7\t0.5\t-1\n12\t2\t0\n"
    (folder / "vectors.tsv.gz").write_bytes(gzip.compress(text, mtime=0))


def _csv_bomb(folder: Path) -> None:
    packed = gzip.compress(b"item_id,d0\n" + b"7,1\n" * (ZEROS // 4), mtime=0)
    (folder / "vectors.csv.gz").write_bytes(packed)


def _csv_bomb_of_one_line(folder: Path) -> None:
    packed = gzip.compress(b"item_id,d0\n7," + b"1" * ZEROS, mtime=0)
    (folder / "vectors.csv.gz").write_bytes(packed)


def _jsonl(folder: Path) -> None:
    rows = [{"item_id": i, "vector": v} for i, v in zip(NAMES, VECTORS.tolist(), strict=True)]
    (folder / "vectors.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _jsonl_columns(folder: Path) -> None:
    text = b'{"key": 7, "d0": 0.5, "d1": -1.0}\n{"key": 12, "d0": 2.0, "d1": 0.0}\n'
    (folder / "vectors.jsonl.gz").write_bytes(gzip.compress(text, mtime=0))


def _jsonl_half_a_character(folder: Path) -> None:
    (folder / "vectors.jsonl").write_text('{"item_id": "\\ud800", "vector": [1.5]}\n')


def _jsonl_deep(folder: Path) -> None:
    deep = "[" * 200_000 + "]" * 200_000
    (folder / "vectors.jsonl").write_text(f'{{"item_id": 7, "vector": {deep}}}\n')


def _jsonl_bomb(folder: Path) -> None:
    packed = gzip.compress(b'{"item_id": 7, "vector": [1.5]}\n' * (ZEROS // 32), mtime=0)
    (folder / "vectors.jsonl.gz").write_bytes(packed)


def _jsonl_bomb_of_one_line(folder: Path) -> None:
    packed = gzip.compress(b'{"item_id": "' + b"a" * ZEROS + b'"}\n', mtime=0)
    (folder / "vectors.jsonl.gz").write_bytes(packed)


def _h5(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"], file["value"] = IDS, VECTORS


def _h5_of_texts(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w", libver="latest") as file:
        file["group/key"] = NAMES
        packed = {"chunks": (2, 2), "compression": "gzip", "shuffle": True, "fletcher32": True}
        file.create_dataset("key", data=NAMES)
        file.create_dataset("value", data=VECTORS, **packed)


def _h5_links(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"] = IDS
        file["value"] = h5py.ExternalLink("/etc/passwd", "/value")
        file["soft"] = h5py.SoftLink("/value")


def _h5_external(folder: Path) -> None:
    """A data set whose content is in another file."""
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"] = IDS
        place = [("/etc/passwd", 0, VECTORS.nbytes)]
        file.create_dataset("value", VECTORS.shape, "f4", external=place)


def _h5_virtual(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"] = IDS
        layout = h5py.VirtualLayout(VECTORS.shape, "f4")
        layout[:] = h5py.VirtualSource("/etc/passwd", "value", VECTORS.shape)
        file.create_virtual_dataset("value", layout)


def _h5_long_id(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"], file["value"] = ["a" * (1 << 20)], VECTORS[:1]


def _h5_huge(folder: Path) -> None:
    """Chunks that do not exist in the file and count as zeros."""
    with h5py.File(folder / "vectors.h5", "w") as file:
        file.create_dataset("key", (HUGE,), "i8", chunks=(1024,))
        file.create_dataset("value", (HUGE, 2), "f4", chunks=(1024, 2))


def _h5_huge_chunk(folder: Path) -> None:
    with h5py.File(folder / "vectors.h5", "w") as file:
        file["key"] = np.arange(1 << 14)
        chunks = (1 << 14, 1 << 12)
        file.create_dataset("value", chunks, "f4", chunks=chunks, compression="gzip")
        file["value"][0, 0] = 1


def _safetensors(folder: Path) -> None:
    save_file({"key": IDS, "value": VECTORS}, folder / "vectors.safetensors")


def _safetensors_bfloat16(folder: Path) -> None:
    save_tensors({"v": torch.tensor(VECTORS).bfloat16()}, folder / "vectors.safetensors")
    (folder / "ids.json").write_text('[7, "\\u001b[2J", 42]')


def _safetensors_huge(folder: Path) -> None:
    facts = {"v": {"dtype": "F32", "shape": [HUGE, 2], "data_offsets": [0, 8 * HUGE]}}
    text = json.dumps(facts).encode()
    (folder / "vectors.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    (folder / "ids.txt").write_text("7\n")


def _pt(folder: Path) -> None:
    torch.save({"key": NAMES, "value": torch.tensor(VECTORS)}, folder / "vectors.pt")


def _pt_plain(folder: Path) -> None:
    old = {"_use_new_zipfile_serialization": False}
    torch.save(torch.tensor(VECTORS).half(), folder / "vectors.pt", **old)
    (folder / "ids.txt").write_text("7\n12\n42\n")


def _pt_evil(folder: Path) -> None:
    torch.save({"key": Evil(), "value": torch.tensor(VECTORS)}, folder / "vectors.pt")


def _pt_pickle(folder: Path) -> None:
    (folder / "vectors.pt").write_bytes(pickle.dumps({"key": [7], "value": Evil()}, 2))


def _pt_nested(folder: Path) -> None:
    """An id that is a list of two equal lists, and so on; its text has 2^40 characters."""
    nested: list = []
    for _ in range(40):
        nested = [nested, nested]
    torch.save({"key": [nested] * 3, "value": torch.tensor(VECTORS)}, folder / "vectors.pt")


def _pt_views(folder: Path) -> None:
    """A tensor of one number that claims to be a table of zeros."""
    wide = torch.zeros(1).expand(HUGE, 4)
    torch.save({"key": torch.zeros(1, dtype=torch.int64).expand(HUGE), "value": wide}, folder / "p")
    (folder / "p").rename(folder / "vectors.pt")


def _faiss(folder: Path) -> None:
    index = faiss.IndexIDMap(faiss.IndexFlatL2(2))
    index.add_with_ids(VECTORS, IDS)
    faiss.write_index(index, str(folder / "vectors.faiss"))


def _faiss_flat(folder: Path) -> None:
    index = faiss.IndexFlatIP(2)
    index.add(VECTORS)
    faiss.write_index(index, str(folder / "vectors.faiss"))
    (folder / "ids.txt").write_text("7\n12\n42\n")


def _faiss_huge(folder: Path) -> None:
    _faiss(folder)
    path = folder / "vectors.faiss"
    path.write_bytes(path.read_bytes().replace(struct.pack("<q", 3), struct.pack("<q", HUGE)))


def _faiss_other(description: str) -> Make:
    def write(folder: Path) -> None:
        index = faiss.index_factory(8, description)
        values = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
        index.train(values)
        index.add_with_ids(values[:20], np.arange(20))
        faiss.write_index(index, str(folder / "vectors.faiss"))

    return write


def _folder(folder: Path) -> None:
    (folder / "vectors").mkdir()
    for item, vector in zip(IDS, VECTORS, strict=True):
        np.save(folder / "vectors" / f"{item}.npy", vector)


def _folder_of_parts(folder: Path) -> None:
    for part in range(2):
        place = folder / "vectors" / f"part={part}"
        place.mkdir(parents=True)
        _parquet(place)


def _dataset_of_parts(folder: Path) -> None:
    (folder / "vectors").mkdir()
    _arrow(folder / "vectors")
    facts = {"_data_files": [{"filename": "vectors.arrow"}], "_indices_data_files": None}
    (folder / "vectors" / "state.json").write_text(json.dumps(facts))


def _dataset_outside(folder: Path) -> None:
    """A list of files that names one in another folder."""
    _dataset_of_parts(folder)
    (folder / "vectors" / "vectors.arrow").rename(folder / "other.arrow")
    facts = {"_data_files": [{"filename": "../other.arrow"}], "_indices_data_files": None}
    (folder / "vectors" / "state.json").write_text(json.dumps(facts))


def _ids_npy(folder: Path) -> None:
    np.save(folder / "vectors.npy", VECTORS)
    np.save(folder / "ids.npy", np.array(NAMES))


def _ids_no_text(folder: Path) -> None:
    """Numbers that are no characters."""
    _ids_npy(folder)
    data = (folder / "ids.npy").read_bytes()
    (folder / "ids.npy").write_bytes(data[:-4] + b"\xff\xff\xff\x00")


def _ids_txt(folder: Path) -> None:
    _npy(folder)
    (folder / "ids.txt").write_text("7\n\x1b[2J\n\u202e42\n", "utf-8")


def _ids_csv(folder: Path) -> None:
    np.save(folder / "vectors.npy", VECTORS)
    (folder / "ids.csv").write_text('title,item_id\n"a, b",7\n,12\nc,42\n')


def _ids_json(folder: Path) -> None:
    np.save(folder / "vectors.npy", VECTORS)
    (folder / "ids.json").write_text(json.dumps([7, "12", 42.0]))


def _codes_levels(folder: Path) -> None:
    table = pa.table({"item_id": IDS, "code0": IDS, "code1": [1, 2, 3]})
    pq.write_table(table, folder / "vectors.parquet", compression="none")


def _codes_lists(folder: Path) -> None:
    table = pa.table({"item_id": NAMES, "codes": [[1, 2], [3, 4], [5, 6]]})
    pq.write_table(table, folder / "vectors.parquet", use_dictionary=False)


def _codes_of_fewer_rows(folder: Path) -> None:
    """A page of codes that claims two values instead of six, so that rows are missing."""
    _codes_lists(folder)
    path, claim = folder / "vectors.parquet", b"\x2c\x15\x0c\x15\x00\x15"
    path.write_bytes(path.read_bytes().replace(claim, b"\x2c\x15\x04\x15\x00\x15"))


def _codes_bomb(folder: Path) -> None:
    table = pa.table({"item_id": np.zeros(1 << 22, np.int64), "code": np.zeros(1 << 22, np.int64)})
    pq.write_table(table, folder / "vectors.parquet", compression="zstd")


HOSTILE_CODES: tuple[Make, ...] = (_codes_bomb, _codes_of_fewer_rows)
VECTOR_FILES: dict[str, tuple[Make, ...]] = {
    "npy": (_npy,),
    "npz": (_npz, _npz_with_ids),
    "parquet": (_parquet, _parquet_columns, _parquet_texts),
    "arrow": (_arrow, _arrow_stream, _arrow_views, _feather),
    "csv": (_csv, _csv_columns, _csv_gz),
    "jsonl": (_jsonl, _jsonl_columns),
    "h5": (_h5, _h5_of_texts),
    "safetensors": (_safetensors, _safetensors_bfloat16),
    "pt": (_pt, _pt_plain),
    "faiss": (_faiss, _faiss_flat),
    "folder": (_folder, _folder_of_parts, _dataset_of_parts),
}
HOSTILE_VECTORS: dict[str, tuple[Make, ...]] = {
    "npy": (_npy_of_objects, _npy_of_huge_shape, _npy_of_empty_rows),
    "npz": (_npz_outside, _npz_bomb, _npz_of_objects),
    "parquet": (_parquet_bomb, _parquet_one_long_id, _parquet_of_other_levels),
    "arrow": (_arrow_one_long_id, _arrow_overlapping_views),
    "csv": (_csv_bomb, _csv_bomb_of_one_line),
    "jsonl": (_jsonl_deep, _jsonl_bomb, _jsonl_bomb_of_one_line, _jsonl_half_a_character),
    "h5": (_h5_links, _h5_external, _h5_virtual, _h5_huge, _h5_huge_chunk, _h5_long_id),
    "safetensors": (_safetensors_huge,),
    "pt": (_pt_evil, _pt_pickle, _pt_views, _pt_nested),
    "faiss": (_faiss_other("IDMap,HNSW4,Flat"), _faiss_other("IDMap,PQ4x4np"), _faiss_huge),
    "folder": (_dataset_outside,),
}


# Benchmark files and settings

BENCHMARK = """\
# a benchmark
dataset: shop
versions: [v6, v7]
modes: {vector: {width: 4}, sim_score: {}, cluster_id: {codebook_size: [200, 1000]}}
seeds: 5
slices: [unseen_items: true, history_below: 5]
training: &one {batch_size: 256, learning_rate: 1e-3}
model: {attention: [8], top: [8], history_length: 10}
"""


def _yaml(folder: Path) -> None:
    (folder / "benchmark.yaml").write_text(BENCHMARK)


def _yaml_bomb(folder: Path) -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 60)]
    (folder / "benchmark.yaml").write_text("\n".join(lines))


def _yaml_anchor_twice(folder: Path) -> None:
    (folder / "benchmark.yaml").write_text("a: &one [1]\nb: &one [2]\nc: *one\n")


def _yaml_tag(folder: Path) -> None:
    (folder / "benchmark.yaml").write_text("dataset: !!python/object/apply:os.system [id]\n")


def _yaml_deep(folder: Path) -> None:
    (folder / "benchmark.yaml").write_text("a: " + "[" * 100_000)


HOSTILE_YAML: tuple[Make, ...] = (_yaml_bomb, _yaml_tag, _yaml_deep, _yaml_anchor_twice)


def _read_yaml(folder: Path, scratch: Path) -> None:
    path = folder / "benchmark.yaml"
    try:
        read_yaml(path, "file", "dataset")
        read_benchmark(path)
    finally:
        read_settings([f"a={path.read_text('utf-8', 'replace')[:200]}"], {})


# Pictures

PICTURES = (
    *(("PNG", "RGB"), ("PNG", "P"), ("PNG", "I;16"), ("PNG", "1"), ("JPEG", "RGB")),
    *(("JPEG", "CMYK"), ("GIF", "P"), ("WEBP", "RGBA"), ("BMP", "RGB"), ("TIFF", "RGB")),
    *(("TIFF", "L"), ("AVIF", "RGB")),
)


def _picture(kind: str, mode: str) -> Make:
    def write(folder: Path) -> None:
        shades = np.arange(24 * 20, dtype=np.uint8).reshape(20, 24)
        image = Image.fromarray(shades)
        image = Image.fromarray(shades.astype(np.uint16)) if mode == "I;16" else image.convert(mode)
        options: dict[str, Any] = {"compression": "tiff_deflate"} if mode == "L" else {}
        image.save(folder / "picture", kind, **options)

    return write


def png(width: int, height: int, packed: bytes = b"") -> bytes:
    """Return a PNG of 1-bit greyscale.

    Args:
        width: The width that it claims.
        height: The height that it claims.
        packed: The compressed lines.
    """
    parts = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)),
        (b"tEXt", b"Title\x00\x1b[2J"),
        (b"IDAT", packed),
        (b"IEND", b""),
    )
    chunks = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _huge_png(folder: Path) -> None:
    (folder / "picture").write_bytes(png(1 << 30, 1 << 30))


def _bomb_png(folder: Path) -> None:
    """A picture of just more pixels than the limit, whose lines are all equal."""
    side = 12_000
    (folder / "picture").write_bytes(png(side, side, zlib.compress(bytes((side // 8 + 1) * side))))


def _text_png(folder: Path) -> None:
    """A compressed text of a PNG that unpacks to 32 MiB."""
    whole = png(1, 1, zlib.compress(b"\x00\x00"))
    body = b"Title\x00\x00" + zlib.compress(bytes(ZEROS))
    text = struct.pack(">I", len(body)) + b"zTXt" + body
    text += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    (folder / "picture").write_bytes(whole[:33] + text + whole[33:])


HOSTILE_PICTURES: tuple[Make, ...] = (_huge_png, _bomb_png, _text_png)


def _decode(folder: Path, scratch: Path) -> None:
    try:
        image = decode((folder / "picture").read_bytes())
    except ValueError as error:  # its message becomes that of a picture that is left out
        raise DataError(str(error)) from error
    assert cropped(image, 32).shape == (32, 32, 3)


def _picture_table(folder: Path) -> None:
    table = pa.table({"item_id": IDS, "bytes": [b"a", b"bb", b""]})
    pq.write_table(table, folder / "pictures.parquet", compression="none")


def _copy_images(folder: Path, scratch: Path) -> None:
    with relations.database(Workspace(scratch)) as connection:
        chosen = "SELECT * FROM (VALUES (1, '7'), (2, '12')) AS t(item_id, raw_id)"
        items = relations.make_table(connection, "items", chosen)
        copy_images(items, folder / "pictures.parquet", scratch / "images.parquet")
    (scratch / "images.parquet").unlink()


# Logs


def _log() -> pa.Table:
    return pa.table(
        {
            "user_id": ["u", "\x1b[2J", "w"],
            "item_id": IDS,
            "click": [1, 0, 1],
            "timestamp": [10, 20, 30],
            "tags": [["a"], [], ["b", "c"]],
        }
    )


def _plain_log() -> pa.Table:
    return _log().drop("tags")


def _log_csv(folder: Path) -> None:
    text = "user_id,item_id,click,timestamp\nu,7,1,10\n\x1b[2J,12,0,20\n"
    (folder / "log.csv").write_text(text)


def _log_csv_of_two_line_ends(folder: Path) -> None:
    text = b'user_id;item_id;click;timestamp\r\nu;7;1;10\n"v\n;";12;0;20\r\n'
    (folder / "log.csv.gz").write_bytes(gzip.compress(text, mtime=0))


def _log_zst(folder: Path) -> None:
    text = b"user_id\titem_id\tclick\ttimestamp\nu\t7\t1\t10\n"
    (folder / "log.tsv.zst").write_bytes(pa.compress(text, "zstd", asbytes=True))


def _log_jsonl(folder: Path) -> None:
    rows = _log().to_pylist()
    (folder / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def _log_json(folder: Path) -> None:
    (folder / "log.json").write_text(json.dumps(_log().to_pylist()))


def _log_arrow(folder: Path) -> None:
    feather.write_feather(_log(), folder / "log.feather", compression="uncompressed")


def _log_stream(folder: Path) -> None:
    table = _plain_log()
    with pa.ipc.new_stream(folder / "log.arrow", table.schema) as writer:
        writer.write_table(table)


def _log_of_invalid_offsets(folder: Path) -> None:
    """A text that begins far beyond the end of the file."""
    _log_stream(folder)
    path, offsets = folder / "log.arrow", struct.pack("<4i", 0, 1, 5, 6)
    damaged_offsets = struct.pack("<4i", 0, 1 << 22, 5, 6)
    path.write_bytes(path.read_bytes().replace(offsets, damaged_offsets))


def _log_orc(folder: Path) -> None:
    orc.write_table(_plain_log(), folder / "log.orc", compression="uncompressed")


def _log_parquet(folder: Path) -> None:
    pq.write_table(_log(), folder / "log.parquet", compression="none")


def _log_parquet_zstd(folder: Path) -> None:
    pq.write_table(_plain_log(), folder / "log.parquet", compression="zstd")


def damaged(make: Make, old: bytes = b"") -> Make:
    """Return a function that writes a sample whose last quarter, or another part, is changed.

    Args:
        make: Writes the sample, one file.
        old: The part; empty: the last quarter.
    """

    def write(folder: Path) -> None:
        make(folder)
        (path,) = (one for one in folder.rglob("*") if one.is_file())
        data = path.read_bytes()
        at = data.index(old) if old else 3 * len(data) // 4
        path.write_bytes(data[:at] + bytes(len(old) or len(data) - at) + data[at + len(old) :])

    return write


LOGS: dict[str, tuple[Make, ...]] = {
    "csv": (_log_csv, _log_csv_of_two_line_ends, _log_zst),
    "json": (_log_jsonl, _log_json),
    "arrow": (_log_arrow, _log_stream),
    "orc": (_log_orc,),
    "parquet": (_log_parquet, _log_parquet_zstd),
}
HOSTILE_LOGS: dict[str, tuple[Make, ...]] = {
    "arrow": (damaged(_log_stream), _log_of_invalid_offsets),
}


def _table(folder: Path, scratch: Path) -> None:
    (path,) = folder.glob("log.*")
    with relations.database(Workspace(scratch)) as connection:
        table = read_table(connection, path)
        connection.execute(f"SELECT * FROM {table.relation}").fetchall()


def _delta(folder: Path) -> None:
    log = folder / "table" / "_delta_log"
    log.mkdir(parents=True)
    pq.write_table(_plain_log(), folder / "table" / "a.parquet")
    actions = [
        {"metaData": {"configuration": {}}},
        {"add": {"path": "a.parquet", "partitionValues": {"day": "1"}}},
    ]
    (log / f"{0:020}.json").write_text("".join(json.dumps(one) + "\n" for one in actions))
    (log / f"{1:020}.json").write_text('{"remove": {"path": "b.parquet"}}\n')


def _delta_outside(folder: Path) -> None:
    _delta(folder)
    shutil.move(folder / "table" / "a.parquet", folder / "a.parquet")
    log = folder / "table" / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace("a.parquet", "../a.parquet"))


def _delta_long_name(folder: Path) -> None:
    _delta(folder)
    log = folder / "table" / "_delta_log" / f"{0:020}.json"
    log.write_text(log.read_text().replace("a.parquet", "a" * 5000))


def _delta_parts(folder: Path, scratch: Path) -> None:
    for part in find_parts(str(folder / "table"))[0]:
        assert part.path.resolve().is_relative_to(folder.resolve()), "a file outside the table"


def _predictions_csv(folder: Path) -> None:
    text = "user_id,item_id,click,p_click,seed\nu,7,1,0.5,0\n\x1b[2J,12,0,0.25,0\n"
    (folder / "predictions.csv").write_text(text)


def _predictions_parquet(folder: Path) -> None:
    columns = {"user_id": NAMES, "click": [1, 0, 1], "p_click": [0.5, 0.25, 1.0]}
    pq.write_table(pa.table(columns), folder / "predictions.parquet", compression="none")


def _read_predictions(folder: Path, scratch: Path) -> None:
    (path,) = folder.glob("predictions.*")
    read_predictions(path)


# Results

CEILING = hash_json("ceiling of shop")
CELL = schema.Cell(
    dataset="shop",
    data_hash="0" * 16,
    version="v7",
    vectors_hash="1" * 16,
    control=None,
    mode="vector",
    mode_revision=1,
    mode_settings={},
    model={},
    training={},
    seed=0,
    protocol=4,
)
COUNTS = {"impressions": 3, "clicks": 1, "users": 2, "evaluable_users": 1}
METRICS = schema.Metrics.of({"gauc": 0.6, "auc": None}, **COUNTS, evaluable_impressions=2)
MANIFEST = schema.DatasetManifest(
    name="shop",
    importer="table",
    label="click",
    split=schema.Split(kind="time", shares=(0.2, 0.5, 0.1, 0.2)),
    periods={"pretrain": (0, 1), "train": (1, 2), "valid": (2, 3), "test": (3, 4)},
    history="derived",
    has_timestamp=True,
    has_weight=False,
    has_images=False,
    fields=(schema.Field(name="colour", of="item", kind="categorical", size=2),),
    counts={"impressions": 4, "users": 2, "items": 3},
    content_hash="0" * 16,
    items_hash="2" * 16,
    created="2026-01-01T00:00:00+00:00",
    ctrbench_version="0",
)
VERSION = schema.VersionManifest(
    name="v7",
    dataset="shop",
    items_hash="2" * 16,
    width=2,
    dtype="float32",
    items_with_vector=3,
    unmatched_ids=0,
    provenance={"file": "v7.npy"},
    content_hash="1" * 16,
    created="2026-01-01T00:00:00+00:00",
    ctrbench_version="0",
)


def _store(folder: Path) -> None:
    store = Store(Workspace(folder))
    point = {"impressions": 1, "loss": 0.5, "blocks": {}, "reported": {}}
    record = schema.CellRecord(
        hash=CELL.hash,
        cell=CELL,
        status="done",
        metrics={"valid": METRICS, "test": METRICS},
        facts={"coverage": 1.0},
        environment={"numpy": "2"},
    )
    p_click = {"valid": np.array([0.5], np.float32), "test": np.array([0.25, 0.5], np.float32)}
    influence = {"test/gauc": np.arange(3.0), "test/impressions": np.ones(3)}
    store.write(record, p_click, {"valid": 0, "test": 1}, influence)
    store.write_model(CELL, {"top.weight": VECTORS})
    store.write_trace(CELL, schema.Trace.model_validate({"points": [point], "permuted": {}}))
    write_sealed(
        folder / "results/shop/dataset.json",
        {"manifest": MANIFEST.model_dump(mode="json"), "reference": None, "ceiling": None},
    )
    write_sealed(folder / "results/shop/v7/version.json", VERSION.model_dump(mode="json"))
    write_arrays(folder / "results/shop/ceiling.users.npz", CEILING, influence)
    store.pack(folder / "results/published/shop.parquet", [CELL], "shop", {"test/gauc"})


def _store_of_other_levels(folder: Path) -> None:
    """Predictions by which `pyarrow.parquet.read_table` hangs."""
    _store(folder)
    (path,) = folder.glob("results/shop/*/*/*.parquet")
    optional = b"\x25\x02\x18\x06period"
    path.write_bytes(path.read_bytes().replace(optional, b"\x25\x00" + optional[2:]))


def _pack_of_other_columns(folder: Path) -> None:
    _store(folder)
    path = folder / "results/published/shop.parquet"
    table = pq.read_table(path)
    pq.write_table(table.rename_columns([*table.column_names[:-1], "other"]), path)


def _read_store(folder: Path, scratch: Path) -> None:
    store = Store(Workspace(folder))
    reads: list[Callable[[], object]] = [
        *(lambda path=path: store.read_file(path) for path in folder.glob("results/*/*/*/*.json")),
        *(lambda p=period: store.predictions(CELL, p, None) for period in ("valid", "test")),
        lambda: store.influence(CELL),
        lambda: store.require_influence(store.read_file(store.path(CELL))),
        lambda: store.read_model(CELL),
        lambda: store.read_trace(CELL),
        lambda: store.read_summary("shop"),
        lambda: store.read_version("shop", "v7"),
        lambda: store.ceiling_influence("shop"),
        lambda: list(store.records("shop")),
        lambda: (store.path(CELL).unlink(missing_ok=True), store.read(CELL)),
        lambda: store.version_names("shop"),
        lambda: (shutil.rmtree(folder / "results/shop"), store.influence(CELL)),
        lambda: store.read_summary("shop"),
    ]
    _all(reads)


def _all(reads: list[Callable[[], object]]) -> None:
    """Call all functions, and raise the first error after the last one."""
    from tests.fuzz.judging import unexpected

    errors = []
    for one in reads:
        try:
            one()
        except Exception as error:
            if unexpected(error):
                raise
            errors.append(error)
    for error in errors:
        raise error


def _manifests(folder: Path) -> None:
    for place, manifest in (("data/shop", MANIFEST), ("embeddings/shop/v7", VERSION)):
        (folder / place).mkdir(parents=True)
        (folder / place / "manifest.json").write_text(manifest.model_dump_json())
    np.save(folder / "embeddings/shop/v7/vectors.npy", VECTORS)
    np.save(folder / "embeddings/shop/v7/has_vector.npy", np.ones(3, bool))


def _manifests_open_header(folder: Path) -> None:
    _manifests(folder)
    path = folder / "embeddings/shop/v7/vectors.npy"
    path.write_bytes(path.read_bytes().replace(b"}", b"("))


def _read_manifests(folder: Path, scratch: Path) -> None:
    workspace = Workspace(folder)
    _all(
        [
            lambda: impressions.read_manifest(workspace, "shop"),
            lambda: versions.read_manifest(workspace, "shop", "v7"),
            lambda: versions.open_version(workspace, "shop", "v7"),
        ]
    )


# Weights


def _network() -> torch.nn.Module:
    return torch.nn.Linear(2, 3)


def _weights_safetensors(folder: Path) -> None:
    save_tensors(_network().state_dict(), folder / "weights.safetensors")


def _weights_pt(folder: Path) -> None:
    torch.save(_network().state_dict(), folder / "weights.pt")


def _weights_evil(folder: Path) -> None:
    torch.save({"weight": Evil()}, folder / "weights.pt")


def _checkpoint(precision: str) -> Make:
    """Return a function that writes the checkpoint of a training that is killed."""

    def write(folder: Path) -> None:
        def progress(done: int, total: int, loss: float) -> None:
            if done == total:
                raise InterruptedError

        with suppress(InterruptedError):
            _train(folder / precision, progress)

    return write


def _checkpoint_of_negative_steps(folder: Path) -> None:
    """A state of the optimizer after -1 steps, by which it would divide by zero."""
    _checkpoint("float32")(folder)
    path = folder / "float32" / CHECKPOINT
    stored = torch.load(path, weights_only=True)
    for own in stored["optimizer"]["state"].values():
        own["step"] -= own["step"] + 1
    torch.save(stored, path)


def _checkpoint_of_views(folder: Path) -> None:
    """Moments of the optimizer that claim terabytes."""
    _checkpoint("float32")(folder)
    path = folder / "float32" / CHECKPOINT
    stored = torch.load(path, weights_only=True)
    for own in stored["optimizer"]["state"].values():
        own["exp_avg"] = torch.zeros(1).expand(HUGE, 4)
    torch.save(stored, path)


def _checkpoint_evil(folder: Path) -> None:
    (folder / "float32").mkdir()
    torch.save({"network": Evil()}, folder / "float32" / CHECKPOINT)


CHECKPOINTS = (_checkpoint("float32"), _checkpoint("float16"))
HOSTILE_CHECKPOINTS: tuple[Make, ...] = (
    *(_checkpoint_of_negative_steps, _checkpoint_of_views, _checkpoint_evil),
)


def _train(folder: Path, progress: Callable[[int, int, float], None] = lambda *_: None) -> None:
    """Train a small encoder, from the checkpoint of the folder if there is one."""
    update = {"precision": folder.name, "checkpoint_s": 1e-9}
    trained(folder, settings=PRETRAINING.model_copy(update=update), progress=progress)


def _resume(folder: Path, scratch: Path) -> None:
    (path,) = folder.rglob(CHECKPOINT)
    _train(path.parent)


def _load_weights(folder: Path, scratch: Path) -> None:
    (path,) = folder.glob("weights.*")
    load_weights(_network(), path)


@cache
def _trained() -> dict[str, bytes]:
    """Return the files of a model that is trained and exported."""
    with tempfile.TemporaryDirectory() as home:
        workspace = Workspace(Path(home))
        sizes = {"users": 40, "items": 30, "impressions": 1500}
        write_world(WorldConfig(kind="taste", strength=1.0, seed=0, **sizes), workspace.home)
        made = matrix(workspace, EXPORTED)
        for cell in made.cells():
            run_cell(workspace, cell, (), {}, lambda share: None, keep_model=True)
        folder = Path(home) / "exported"
        export(workspace, "taste/oracle/cluster_id", folder)
        table = versions.open_version(workspace, "taste", "oracle")
        np.savez(folder / "new.npz", key=IDS, value=table.vectors[1:4])
        read = {"model.json", "model.safetensors", "encoder.json", "new.npz", *SERVED}
        return {
            str(path.relative_to(folder)): path.read_bytes()
            for path in folder.rglob("*")
            if path.name in read or path.suffix == ".npy"
        }


SERVED = ("model.onnx", "features.json", "golden.json")
EXPORTED = SMALL.replace("[oracle, random]", "[oracle]").replace("  vector: {width: 4}\n", "")
EXPORTED = EXPORTED.replace("  sim_score: {}\n", "")


def _exported(folder: Path) -> None:
    for name, data in _trained().items():
        if name not in SERVED:
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_bytes(data)


def _served(folder: Path) -> None:
    """Write what `serve_check.py` reads, and a list of these files alone."""
    for name in SERVED:
        (folder / name).write_bytes(_trained()[name])
    _list_files(folder)


def _list_files(folder: Path) -> None:
    files = sorted(path for path in folder.iterdir() if path.name != "files.json")
    listed = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "files.json").write_text(json.dumps(listed))


def _served_outside(folder: Path) -> None:
    """A list of files that names one in another folder."""
    _served(folder)
    path = folder / "files.json"
    path.write_text(path.read_text().replace("features.json", "../features.json"))


def _served_other_text(name: str, old: str, new: str) -> Make:
    """Return a function that writes the files, of which one has another text."""

    def write(folder: Path) -> None:
        _served(folder)
        text = (folder / name).read_text()
        assert old in text, f"{name} lacks {old}"
        (folder / name).write_text(text.replace(old, new, 1))
        _list_files(folder)

    return write


HOSTILE_SERVED: tuple[Make, ...] = (
    _served_outside,
    _served_other_text("features.json", '"name"', '"\\u001b[2J"'),
    _served_other_text("golden.json", '"float32"', '"O"'),
    _served_other_text("golden.json", '"batches"', '"\\u001b[2J"'),
)


def _check_served(folder: Path, scratch: Path) -> None:
    """Check a folder as it is, and with a list of its changed files."""

    def checked() -> None:
        code = serve_check.main(folder)
        sys.stdout.flush()
        if code:
            raise DataError(f"exit code {code}")

    _all([checked, lambda: (_list_files(folder), checked())])


def _exported_huge(folder: Path) -> None:
    """A description of a model that is far larger than its weights."""
    _exported(folder)
    text = (folder / "model.json").read_text()
    value = json.loads(text)
    value["sizes"]["item_rows"] = 1 << 27
    (folder / "model.json").write_text(json.dumps(value))


def _exported_outside(folder: Path) -> None:
    """A list of arrays that names one in another folder."""
    _exported(folder)
    path = folder / "encoder" / "encoder.json"
    (array,) = path.parent.glob("*centres*.npy")
    array.rename(folder / array.name)
    path.write_text(path.read_text().replace(array.name, f"../{array.name}"))


def _encode(folder: Path, scratch: Path) -> None:
    _all(
        [
            lambda: load(folder),
            lambda: encode(folder, Source(folder / "new.npz"), scratch / "new.parquet"),
        ]
    )


def files_of(make: Make, folder: Path) -> dict[str, bytes]:
    """Return the files of a sample by their relative paths.

    Args:
        make: Writes them.
        folder: A folder that does not exist.
    """
    folder.mkdir(parents=True)
    make(folder)
    found = read_files(folder)
    shutil.rmtree(folder)
    return found


def read_files(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder by their relative paths."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}
