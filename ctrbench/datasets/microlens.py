"""Import MicroLens-1M as the Multimodal CTR Prediction Challenge of WWW 2025 publishes it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
import typer

from ctrbench.arrays import blocks
from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._ids import id_rules
from ctrbench.datasets._log import click_rules
from ctrbench.datasets._public import find_file, open_official
from ctrbench.datasets._tables import Rule, Table, broken_rules, renamed
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import GivenVersion, Progress, Raw, Source, parse_split
from ctrbench.importing.relations import PART, Relation, fill_table, make_view, one_row
from ctrbench.schema import Field, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ROWS = ["user_id", "item_seq", "item_id", "likes_level", "views_level", "label"]
INFO = ["item_id", "item_tags", "item_emb_d128"]
FEATURES = ["item_id", "item_title", "likes_level", "views_level", "txt_emb_BERT"]
IMAGE_VECTORS = "img_emb_CLIPRN50"
VERSION = "clip_rn50"
OF_IMAGES = f"{IMAGE_VECTORS}: covers alone, encoded by CLIP RN50 (1,024 numbers)."
NOT_IMAGES = (
    "item_emb_d128 is not imported: it is a PCA of text and image vectors joined, not an image "
    "vector."
)
NO_VECTORS = "item_feature.parquet was not found: there are no titles and no image vectors."
LEVELS = ["likes_level", "views_level"]
PERIODS = ("train", "valid", "test")
SEED = 42  # of the split of MMCTR-Bench
SAMPLED = (
    "The publisher sampled the non-clicks, three per click, so predicted click rates have no "
    "meaning."
)
CUT_ROWS = (
    "test.parquet has no labels. Periods are a random 80/10/10 division of the rows of "
    "train.parquet, the split of MMCTR-Bench (deterministic-random-80-10-10-v1, seed 42); "
    "valid.parquet is not used. Most users have at most one test impression, so GAUC covers few "
    "users, and a history may contain clicks of other periods."
)
CUT_USERS = (
    "test.parquet has no labels. Periods are a random 80/10/10 division of the users of "
    "train.parquet; valid.parquet is not used. Test users are new."
)
OFFICIAL = "Periods are the official train.parquet, valid.parquet and test.parquet."
NO_LEVELS = (
    "likes_level and views_level count the whole collection, later clicks included, and are "
    "excluded."
)
WITH_LEVELS = "likes_level and views_level count the whole collection, later clicks included."


class CutBy(StrEnum):
    """What is divided at random into periods, because the official test has no labels."""

    rows = "rows"  # as MMCTR-Bench does
    users = "users"  # all rows of a user stay together, so that GAUC has groups


@dataclass(frozen=True)
class MicroLens(Importer):
    """MicroLens-1M of the WWW 2025 MMCTR challenge: videos with covers, image vectors of CLIP.

    Get the folder MicroLens_1M_x1, item_feature.parquet and, for pictures, item_images.rar from
    https://recsys.westlake.edu.cn/MicroLens_1M_MMCTR/ and unpack the archives into one folder.
    The license allows research; the publisher forbids handing on changed copies.
    """

    default_name: ClassVar[str | None] = "microlens"

    source: Annotated[Path, typer.Option(help="The folder that contains MicroLens_1M_x1.")]
    images: Annotated[
        Path | None, typer.Option(help="The unpacked folder of covers, <item_id>.jpg.")
    ] = None
    cut: Annotated[
        CutBy, typer.Option(help="What is divided 80/10/10: rows (as MMCTR-Bench) or users.")
    ] = CutBy.rows
    popularity: Annotated[
        bool,
        typer.Option(
            "--popularity", help="Import likes_level and views_level, which include later clicks."
        ),
    ] = False

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Create impressions with given histories; read tags and titles of items."""
        if self.images and self.images.suffix == ".rar":
            raise ConfigError(f"--images {self.images} is an archive: unpack it, give the folder.")
        progress("reading impressions")
        train = _rows(connection, find_file(self.source, "train.parquet"))
        official = self._official(connection, train)
        fields = [Field(name=name, of="context", kind="categorical") for name in LEVELS]
        fields = fields if self.popularity else []
        parts = official or [_cut(connection, train, self.cut)]
        _check(connection, [train] if not official else [table for table, _ in official])
        impressions = make_view(
            connection,
            "impressions",
            " UNION ALL ".join(_select(table, period, fields) for table, period in parts),
        )
        progress("reading items")
        features = _features(connection, train.path.parent)
        items, item_fields = _items(connection, train.path.parent, features, impressions)
        cut = CUT_ROWS if self.cut is CutBy.rows else CUT_USERS
        return Raw(
            impressions,
            importer="microlens",
            items=items,
            label="label = 1",
            split=split or parse_split("given"),
            fields=(*fields, *item_fields),
            images=self.images,
            versions=_versions(features),
            notes=(
                SAMPLED,
                OFFICIAL if official else cut,
                WITH_LEVELS if self.popularity else NO_LEVELS,
                NOT_IMAGES if features else f"{NO_VECTORS} {NOT_IMAGES}",
            ),
        )

    def _official(
        self, connection: DuckDBPyConnection, train: Table
    ) -> list[tuple[Table, str]] | None:
        """Return the three official files if test contains both classes; else None."""
        path = train.path.with_name("test.parquet")
        if not path.exists():
            return None
        test = _rows(connection, path, labelled=False)
        if "click" not in test.types:
            return None
        (classes,) = one_row(connection, f"SELECT count(DISTINCT click) FROM {test.relation}")
        if classes < 2:
            return None
        valid = _rows(connection, find_file(self.source, "valid.parquet"))
        return [(train, "'train'"), (valid, "'valid'"), (test, "'test'")]


def _rows(connection: DuckDBPyConnection, path: Path, labelled: bool = True) -> Table:
    """Open a file of impressions, whose label is renamed to click."""
    needed = ROWS if labelled else ROWS[:-1]
    table = open_official(connection, path, needed, [] if labelled else ["label", "ID"])
    names = {name: name for name in table.types if name != "ID"}
    names |= {"label": "click", "item_seq": "history"}
    return renamed(connection, table, {old: names[old] for old in table.types if old in names})


def _check(connection: DuckDBPyConnection, tables: Sequence[Table]) -> None:
    problems = []
    for table in tables:
        rules = [
            *id_rules(table, "user_id", "text"),
            *id_rules(table, "item_id", "text"),
            Rule("item_id", "item_id = 0", "are 0, the padding of histories"),
            *click_rules(table),
        ]
        problems += broken_rules(connection, table, rules)
    raise_all(problems, DataError, "these impressions cannot be used:")


def _cut(connection: DuckDBPyConnection, train: Table, cut: CutBy) -> tuple[Table, str]:
    """Return the rows of train and the SQL of their periods."""
    if cut is CutBy.users:
        tenth = "md5_number_lower(user_id::VARCHAR) % 10"
        return train, f"CASE {tenth} WHEN 0 THEN 'test' WHEN 1 THEN 'valid' ELSE 'train' END"
    first, second = int(0.8 * train.rows), int(0.9 * train.rows)
    part = np.repeat(np.arange(3, dtype=np.uint8), [first, second - first, train.rows - second])
    np.random.RandomState(SEED).shuffle(part)
    parts = fill_table(
        connection, "parts", {"part": "UTINYINT"}, ((part[b],) for b in blocks(len(part), PART))
    )
    query = f"FROM {train.relation} POSITIONAL JOIN {parts}"
    return replace(train, relation=str(make_view(connection, "divided rows", query))), (
        f"list_extract({list(PERIODS)}, part + 1)"
    )


def _select(table: Table, period: str, fields: list[Field]) -> str:
    levels = "".join(f", {field.name}::VARCHAR AS {field.name}" for field in fields)
    return f"""SELECT user_id::BIGINT AS user_id, item_id::BIGINT AS item_id,
        click::TINYINT AS click, {period} AS period,
        list_filter(history::BIGINT[], lambda v: v <> 0) AS history{levels}
        FROM {table.relation}"""


def _features(connection: DuckDBPyConnection, folder: Path) -> Table | None:
    """Open item_feature.parquet, which is beside the folder of impressions or in it."""
    for place in (folder, folder.parent):
        path = place / "item_feature.parquet"
        if path.exists():
            return open_official(connection, path, [*FEATURES, IMAGE_VECTORS], ["item_tags"])
    return None


def _versions(features: Table | None) -> tuple[GivenVersion, ...]:
    if features is None:
        return ()
    source = Source(features.path, column=IMAGE_VECTORS, ids_column="item_id")
    return (GivenVersion(VERSION, source, (OF_IMAGES,)),)


def _items(
    connection: DuckDBPyConnection, folder: Path, features: Table | None, impressions: Relation
) -> tuple[Relation, list[Field]]:
    """Return tags and, if the file of features is there, titles; row 0 is padding."""
    info = open_official(connection, folder / "item_info.parquet", INFO)
    tags = "list_filter(item_tags::BIGINT[], lambda v: v <> 0)::VARCHAR[]"
    query = f"SELECT item_id::BIGINT AS item_id, {tags} AS tags FROM {info.relation}"
    fields = [Field(name="tags", of="item", kind="list")]
    if features:
        titles = f"SELECT item_id::BIGINT AS item_id, item_title AS title FROM {features.relation}"
        query = f"SELECT * FROM ({query}) LEFT JOIN ({titles}) USING (item_id)"
        fields.append(Field(name="title", of="item", kind="text"))
    query = f"SELECT * FROM ({query}) WHERE item_id <> 0"
    items = make_entities(connection, "items", "item_id", query, str(info.path))
    require_common_ids(items, "item_id", info.path, impressions)
    return items, fields
