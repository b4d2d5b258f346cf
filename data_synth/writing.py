"""Writes a world into a workspace of ctrbench, through the import of users' data sets."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ctrbench import embeddings, impressions
from ctrbench.atomic import PARTIAL, sweep, write_json
from ctrbench.embeddings.readers import Source
from ctrbench.errors import ConfigError, StoreError
from ctrbench.importing import Raw, build, database, parse_split
from ctrbench.importing.relations import literal, make_view
from ctrbench.impressions import open_impressions, raw_item_ids
from ctrbench.schema import DatasetManifest, Field
from ctrbench.workspace import Workspace
from data_synth.attainable import Attainable, attainable
from data_synth.clicks import make_click_model
from data_synth.plan import PICTURE_BYTES, Plan, make_plan
from data_synth.truth import ATTAINABLE, CONFIG, WriteProgress, open_truth, write_log
from data_synth.vectors import from_pictures, versions, with_image
from data_synth.world import KINDS, World, WorldConfig, check, make_world

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SPLIT = "time:20/50/10/20"
LABEL = "a draw from the true click probability"
FIELDS = (
    Field(name="category", of="item", kind="categorical"),
    Field(name="source", of="item", kind="categorical"),
    Field(name="price", of="item", kind="numeric"),
    Field(name="position", of="context", kind="numeric"),
)


@dataclass(frozen=True)
class Written:
    """The output of a world."""

    dataset: DatasetManifest
    versions: tuple[str, ...]
    attainable: Attainable
    sheet: Path | None  # a contact sheet of the pictures


def write_world(
    config: WorldConfig,
    out: Path,
    pictures: int = 0,
    workers: int = 1,
    progress: WriteProgress = lambda what, done, total: None,
) -> Written:
    """Make a world below `out`: its log, pictures and embedding versions.

    An interrupted run resumes, and a finished world is not made again. The result does not depend
    on the workers.

    Args:
        config: The world; its kind is the name of the data set.
        out: The workspace.
        pictures: Width and height of pictures in pixels, 64 or 224; 0 draws none.
        workers: The number of threads for impressions and of processes for pictures.
        progress: Receives each step.

    Raises:
        ConfigError: The world is invalid, or `out` contains another world of its kind.
        DataError: There are too few impressions for four periods with both classes.
        StoreError: `out` cannot be written, or its disk is too small.
    """
    check(config)
    config = replace(config, strength=config.style_strength)
    if config.kind == "complement":
        config = replace(config, alignment=config.style_alignment)
    plan = plan_world(config, pictures, workers)
    workspace = Workspace(out)
    truth = _truth(workspace, config)
    _require_own(workspace, truth)
    _require_room(workspace, plan, truth)
    open_truth(truth, config, {"pictures": pictures})
    if (truth / ATTAINABLE).exists():  # the last file of a world
        return _written(workspace, config, pictures)
    for folder in (truth, workspace.home / "pictures"):
        sweep(folder)
    world = make_world(config)
    log = write_log(truth, make_click_model(world), workers, progress)
    images = _pictures(workspace, config, pictures)
    if images is not None and not images.exists():
        from data_synth.pictures import write_pictures

        write_pictures(images, world, with_image(world), pictures, workers, progress)
    with _scratch(workspace) as scratch:
        dataset = _dataset(workspace, world, log, images, scratch, progress)
        _add_versions(workspace, dataset, world, images, scratch, progress)
    progress("attainable metrics", 0, 1)
    bounds = attainable(log, dataset.periods["test"])
    write_json(truth / ATTAINABLE, asdict(bounds))
    return _written(workspace, config, pictures)


def _pictures(workspace: Workspace, config: WorldConfig, pictures: int) -> Path | None:
    return workspace.home / "pictures" / f"{config.kind}.parquet" if pictures else None


def _written(workspace: Workspace, config: WorldConfig, pictures: int) -> Written:
    dataset = impressions.read_manifest(workspace, config.kind)
    images = _pictures(workspace, config, pictures)
    stored = json.loads((_truth(workspace, config) / ATTAINABLE).read_bytes())
    return Written(
        dataset,
        tuple(embeddings.names(workspace, config.kind)),
        Attainable(**stored),
        images and images.with_suffix(".png"),
    )


def _truth(workspace: Workspace, config: WorldConfig) -> Path:
    return workspace.home / "truth" / config.kind


def plan_world(config: WorldConfig, pictures: int, workers: int) -> Plan:
    """Return the expected size and time of a world.

    Args:
        config: The world.
        pictures: The width of pictures in pixels, 64 or 224; 0 for none.
        workers: The number of threads and processes.

    Raises:
        ConfigError: The world, the width of pictures or the number of workers is invalid.
    """
    check(config)
    if pictures not in (0, *PICTURE_BYTES):
        known = ", ".join(map(str, PICTURE_BYTES))
        raise ConfigError(f"pictures of {pictures} pixels cannot be drawn; use {known}, or 0.")
    if workers < 1:
        raise ConfigError(f"workers is {workers}; use 1 or more.")
    return make_plan(config, pictures, workers)


def _require_own(workspace: Workspace, truth: Path) -> None:
    if truth.name in impressions.names(workspace) and not (truth / CONFIG).exists():
        raise ConfigError(
            f"{workspace.home} has a data set {truth.name!r} that is not a synthetic world. "
            "Choose another --out. Nothing was changed."
        )


def _require_room(workspace: Workspace, plan: Plan, truth: Path) -> None:
    if (truth / ATTAINABLE).exists():
        return
    existing = next(path for path in (workspace.home, *workspace.home.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < plan.peak_disk_bytes:
        raise StoreError(
            f"{workspace.home} has {free / 1e9:.1f} GB free; this world requires about "
            f"{plan.peak_disk_bytes / 1e9:.1f} GB during the run. Choose another --out or fewer "
            "impressions. Nothing was written."
        )


def _dataset(
    workspace: Workspace,
    world: World,
    log: list[Path],
    images: Path | None,
    scratch: Path,
    progress: WriteProgress,
) -> DatasetManifest:
    kind = world.config.kind
    with database(workspace) as connection:
        raw = _raw(connection, world, log, images, scratch)
        return build(workspace, kind, raw, lambda what: progress(f"data set: {what}", 0, 1))


@contextmanager
def _scratch(workspace: Workspace) -> Iterator[Path]:
    workspace.cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=workspace.cache, prefix=PARTIAL) as folder:
        yield Path(folder)


def _raw(
    connection: DuckDBPyConnection,
    world: World,
    log: list[Path],
    images: Path | None,
    scratch: Path,
) -> Raw:
    """Return the log and the items as the relations of an importer."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    config, items = world.config, scratch / "items.parquet"
    pq.write_table(pa.table(_item_columns(world)), items)
    files = ", ".join(literal(path) for path in log)
    impressions = make_view(
        connection,
        "impressions",
        f"""SELECT user_id, item_id, click, timestamp,
        position::FLOAT AS position, p_true FROM read_parquet([{files}])""",
    )
    listed = make_view(
        connection,
        "items",
        f"""SELECT item_id::INTEGER AS item_id, category, source, price
        FROM read_parquet({literal(items)})""",
    )
    return Raw(
        impressions,
        items=listed,
        importer="data_synth",
        label=LABEL,
        split=parse_split(SPLIT),
        fields=FIELDS,
        images=images,
        notes=(
            f"Synthetic world {config.kind!r} ({KINDS[config.kind].what}), seed {config.seed}, "
            f"strength of style {config.style_strength:g}.",
        ),
    )


def _item_columns(world: World) -> dict[str, np.ndarray]:
    items = world.items
    return {
        "item_id": np.arange(1, len(items.category) + 1),
        "category": np.char.add("category-", (items.category + 1).astype(str)),
        "source": np.char.add("source-", (items.source + 1).astype(str)),
        "price": np.round(np.exp(3 + 0.6 * items.price), 2),
    }


def _add_versions(
    workspace: Workspace,
    dataset: DatasetManifest,
    world: World,
    images: Path | None,
    scratch: Path,
    progress: WriteProgress,
) -> None:
    log = open_impressions(workspace, dataset.name)
    raw_ids, rows = raw_item_ids(workspace, dataset.name), with_image(world)
    made = versions(world)
    pictured = from_pictures(images) if images is not None else {}
    for done, name in enumerate([*made, *pictured]):
        progress("versions", done, len(made) + len(pictured))
        vectors = pictured[name] if name in pictured else made[name](world)[rows]
        file = scratch / f"{name}.npz"
        np.savez(file, key=rows + 1, value=vectors)
        embeddings.add_version(workspace, log, raw_ids, name, Source(file))
        file.unlink()
