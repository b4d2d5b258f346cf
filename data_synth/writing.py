"""A world becomes a workspace of ctrbench, by the door that a user's own files take."""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ctrbench.atomic import PARTIAL, atomic_file, write_json
from ctrbench.embeddings import add
from ctrbench.embeddings.readers import Source
from ctrbench.errors import ConfigError
from ctrbench.impressions import Raw, build, database, parse_split, raw_item_ids
from ctrbench.impressions.database import literal
from ctrbench.schema import DatasetManifest, Field
from ctrbench.workspace import Workspace
from data_synth.ceilings import Attainable, attainable, without_style
from data_synth.clicks import Log, make_log
from data_synth.vectors import VERSIONS, with_image
from data_synth.world import World, WorldConfig, check, make_world

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

START = 1_700_000_000  # seconds since 1970 of a world's first moment
SPLIT = "time:20/50/10/20"
LABEL = "a draw from the true click probability"


@dataclass(frozen=True)
class Written:
    """What was made."""

    dataset: DatasetManifest
    versions: tuple[str, ...]
    attainable: Attainable


def write_world(config: WorldConfig, out: Path) -> Written:
    """Make a world, its log and its embedding versions below `out`; made twice, nothing changes.

    Args:
        config: the world; its kind is the data set's name.
        out: the workspace.

    Raises:
        ConfigError: the world is impossible, or `out` holds another of its kind.
        DataError: four periods with clicks and non-clicks do not come out of so few impressions.
        StoreError: `out` cannot be written.
    """
    check(config)
    config = replace(config, strength=config.style_strength)
    workspace = Workspace(out)
    _refuse_another(workspace, config)
    world = make_world(config)
    log = make_log(world)
    with (
        database(workspace) as connection,
        tempfile.TemporaryDirectory(dir=workspace.cache, prefix=PARTIAL) as scratch,
    ):
        dataset = build(workspace, config.kind, _raw(connection, world, log, Path(scratch)))
        _add_versions(workspace, dataset, world, Path(scratch))
    return Written(dataset, tuple(VERSIONS), _write_truth(workspace, world, log))


def _truth(workspace: Workspace, kind: str) -> Path:
    """The file of what nobody knows, without its ending."""
    return workspace.home / "truth" / kind


def _refuse_another(workspace: Workspace, config: WorldConfig) -> None:
    path = _truth(workspace, config.kind).with_suffix(".json")
    if not path.is_file():
        return
    there, wanted = json.loads(path.read_bytes())["config"], asdict(config)
    differing = [
        f"{key} is {there.get(key)}, not {value}"
        for key, value in wanted.items()
        if there.get(key) != value
    ]
    if differing:
        raise ConfigError(
            f"{workspace.home} holds another world {config.kind!r} ({', '.join(differing)}). "
            "Choose another --out, or delete that folder first; nothing was changed."
        )


def _raw(connection: DuckDBPyConnection, world: World, log: Log, scratch: Path) -> Raw:
    """The log and the items as Parquet files, and as the views that an importer hands over."""
    config = world.config
    files = {"impressions": _keys(log) | {"click": log.click}, "items": _item_columns(world)}
    for name, columns in files.items():
        file = scratch / f"{name}.parquet"
        _write_parquet(file, columns)
        ids = ", ".join(f"{key}::VARCHAR AS {key}" for key in columns if key.endswith("_id"))
        connection.execute(
            f"CREATE VIEW {name} AS SELECT * REPLACE ({ids}) FROM read_parquet({literal(file)})"
        )
    return Raw(
        connection,
        importer="data_synth",
        label=LABEL,
        split=parse_split(SPLIT),
        fields=(Field(name="category", of="item", kind="categorical"),),
        notes=(
            f"Synthetic world {config.kind!r}, seed {config.seed}, strength of style "
            f"{config.style_strength:g}.",
        ),
    )


def _keys(log: Log) -> dict[str, np.ndarray]:
    return {"user_id": log.user + 1, "item_id": log.item + 1, "timestamp": START + log.time}


def _item_columns(world: World) -> dict[str, np.ndarray]:
    category = world.items.category
    return {
        "item_id": np.arange(1, len(category) + 1),
        "category": np.char.add("category-", (category + 1).astype(str)),
    }


def _add_versions(
    workspace: Workspace, dataset: DatasetManifest, world: World, scratch: Path
) -> None:
    raw_ids, item = raw_item_ids(workspace, dataset.name), with_image(world)
    for version, make in VERSIONS.items():
        file = scratch / f"{version}.npz"
        np.savez(file, key=item + 1, value=make(world)[item].astype(np.float32))
        add(workspace, dataset, raw_ids, version, Source(file))


def _write_truth(workspace: Workspace, world: World, log: Log) -> Attainable:
    """Write the true probabilities, then, as the last file of a world, its config."""
    p_without_style = without_style(world, log)
    reached = attainable(log, p_without_style)
    path = _truth(workspace, world.config.kind)
    columns = _keys(log) | {"p_true": log.p_true, "p_without_style": p_without_style}
    with atomic_file(path.with_suffix(".parquet")) as temporary:
        _write_parquet(temporary, columns)
    record: dict[str, Any] = {"config": asdict(world.config), "attainable": asdict(reached)}
    write_json(path.with_suffix(".json"), record)
    return reached


def _write_parquet(path: Path, columns: dict[str, np.ndarray]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path)
