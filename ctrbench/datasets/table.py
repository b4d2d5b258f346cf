"""Any click log as CSV or Parquet: impressions, and files of items and users beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities
from ctrbench.datasets._fields import Wishes, read_fields
from ctrbench.datasets._log import Log, make_impressions
from ctrbench.datasets._negatives import Popularity, add_negatives
from ctrbench.datasets._tables import (
    WHOLE,
    Table,
    broken_rules,
    id_value,
    missing,
    missing_columns,
    read_table,
    renamed,
    whole_ids,
)
from ctrbench.errors import ConfigError, DataError, raise_all, unknown_name
from ctrbench.impressions import Progress, Raw, parse_split
from ctrbench.impressions.database import quoted
from ctrbench.schema import PERIODS, Field, FieldKind, FieldOwner, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_SPLIT = "time:20/50/10/20"
SUFFIXES = (".parquet", ".csv", ".tsv", ".csv.gz", ".tsv.gz")


@dataclass(frozen=True)
class TableImporter(Importer):
    """A click log in CSV or Parquet: columns user_id, item_id, click and any further fields."""

    impressions: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="A file, a folder of files, or PERIOD=FILE (train=a.parquet); may be repeated.",
        ),
    ]
    items: Annotated[Path | None, typer.Option(help="Fields of items, by item_id.")] = None
    users: Annotated[Path | None, typer.Option(help="Fields of users, by user_id.")] = None
    images: Annotated[
        Path | None, typer.Option(help="Folder of <item_id>.jpg, or Parquet of item_id, bytes.")
    ] = None
    rename: Annotated[
        list[str] | None, typer.Option(metavar="OLD=NEW", help="is_click=click; may be repeated.")
    ] = None
    drop: Annotated[str, typer.Option(help="Columns to leave out: a,b")] = ""
    numeric: Annotated[str, typer.Option(help="Columns to read as numbers: a,b")] = ""
    categorical: Annotated[str, typer.Option(help="Columns to read as categories: a,b")] = ""
    lists: Annotated[
        list[str] | None,
        typer.Option("--list", metavar="NAME=SEPARATOR", help="genres='|'; may be repeated."),
    ] = None
    text: Annotated[str, typer.Option(help="Item columns kept as text: title")] = ""
    user_fields: Annotated[
        str, typer.Option(help="Columns of the impressions that describe the user: a,b")
    ] = ""
    pad: Annotated[
        str | None, typer.Option(help="The value that fills up histories and lists, dropped: 0")
    ] = None
    label: Annotated[str, typer.Option(help="What counts as a click, in words.")] = ""
    valid_share: Annotated[
        float | None,
        typer.Option(help="Share of a given train period that becomes valid, if none is given."),
    ] = None
    negatives: Annotated[
        int, typer.Option(min=0, help="Non-clicks to draw per click, for a log of clicks alone.")
    ] = 0
    negatives_by: Annotated[
        Popularity, typer.Option(help="Draw items by their clicks, or all alike.")
    ] = Popularity.popularity
    seed: Annotated[int, typer.Option(help="Of drawing non-clicks.")] = 0

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Impressions of all files, items and users, checked and typed."""
        progress("reading files")
        files = _Files(connection, _pairs("--rename", self.rename), _names(self.drop))
        tables, periods = files.open_log(self.impressions)
        items, users = files.open(self.items), files.open(self.users)
        wishes = self._wishes()
        self._check_names(files, tables, items)
        split, ignore_period = _split(split, Log(tables, periods, False, False, wishes))
        whole = self._whole(connection, tables, items, users)
        log = Log(tables, periods, self.negatives > 0, ignore_period, wishes, whole)
        progress("checking the log")
        fields, notes = make_impressions(connection, log, _names(self.user_fields))
        fields += _make_items(connection, items, wishes, whole)
        fields += _make_users(connection, users, wishes, bool(_names(self.user_fields)), whole)
        counts = {}
        if self.negatives:
            progress("drawing non-clicks")
            drawn = add_negatives(connection, self.negatives, self.negatives_by, self.seed)
            counts["drawn_negatives"] = drawn
            notes = (*notes, self._drawn_note(drawn))
        return Raw(
            connection,
            importer="table",
            label=self._label(files, log),
            split=split,
            fields=tuple(fields),
            valid_share=self.valid_share,
            images=self.images,
            notes=notes,
            counts=counts,
        )

    def _whole(
        self,
        connection: DuckDBPyConnection,
        log: list[Table],
        items: Table | None,
        users: Table | None,
    ) -> frozenset[str]:
        """The id columns that hold whole numbers everywhere; drawn non-clicks go by text."""
        if self.negatives:
            return frozenset()
        history = [kind for table in log if (kind := table.types.get("history"))]
        found = {
            "user_id": whole_ids(connection, [*log, *([users] if users else [])], "user_id"),
            "item_id": whole_ids(connection, [*log, *([items] if items else [])], "item_id")
            and all(kind.removesuffix("[]") in WHOLE for kind in history),
        }
        return frozenset(name for name, is_whole in found.items() if is_whole)

    def _wishes(self) -> Wishes:
        kinds: dict[str, FieldKind] = {}
        separators = _pairs("--list", self.lists)
        asked: tuple[tuple[FieldKind, list[str]], ...] = (
            ("numeric", _names(self.numeric)),
            ("categorical", _names(self.categorical)),
            ("text", _names(self.text)),
            ("list", [name for name in separators if name != "history"]),
        )
        for kind, names in asked:
            for name in names:
                if name in kinds:
                    raise ConfigError(f"'{name}' cannot be {kinds[name]} and {kind} at once.")
                kinds[name] = kind
        return Wishes(kinds, separators, self.pad)

    def _check_names(self, files: _Files, log: list[Table], items: Table | None) -> None:
        """Every column that an option names is in one of the files."""
        everywhere = files.columns
        of_items = list(items.types) if items else []
        named = [
            *((name, everywhere) for name in _pairs("--list", self.lists)),
            *((name, everywhere) for name in _names(self.numeric) + _names(self.categorical)),
            *((name, of_items) for name in _names(self.text)),
            *((name, list(log[0].types)) for name in _names(self.user_fields)),
            *((name, set(files.originals)) for name in [*files.renames, *files.drops]),
        ]
        problems = [
            unknown_name("column", name, known) for name, known in named if name not in known
        ]
        raise_all(problems, ConfigError, "options name columns that are not there:")

    def _label(self, files: _Files, log: Log) -> str:
        if self.label:
            return self.label
        if "click" not in log.columns:
            return "a row of the log"
        names = {new: old for old, new in files.renames.items()}
        return f"{names.get('click', 'click')} = 1"

    def _drawn_note(self, drawn: int) -> str:
        how = (
            "uniformly" if self.negatives_by is Popularity.uniform else "by clicks in the whole log"
        )
        return (
            f"{drawn} non-clicks were drawn, {self.negatives} a click, {how} (seed {self.seed}), "
            "never an item the user clicks at any time: it knows the future, and sets the CTR."
        )


class _Files:
    """Opens files with the columns that remain, under their new names, and remembers all names."""

    def __init__(
        self, connection: DuckDBPyConnection, renames: dict[str, str], drops: list[str]
    ) -> None:
        self.connection, self.renames, self.drops = connection, renames, drops
        self.originals: list[str] = []
        self.columns: list[str] = []

    def open(self, path: Path | None) -> Table | None:
        """The file as a table; None stays None."""
        if path is None:
            return None
        table = read_table(self.connection, path)
        names = {old: self.renames.get(old, old) for old in table.types if old not in self.drops}
        if len(set(names.values())) < len(names):
            raise ConfigError(f"{path}: --rename makes two columns of one name; drop one of them.")
        self.originals += table.types
        self.columns += names.values()
        return renamed(self.connection, table, names)

    def open_log(self, given: list[str]) -> tuple[list[Table], list[str | None]]:
        """The files of the log, and the period of each where PERIOD=FILE says it."""
        tables, periods = [], []
        for argument in given:
            period, _, path = argument.partition("=")
            if period not in PERIODS:
                period, path = None, argument
            for file in _files(Path(path)):
                tables.append(self.open(file))
                periods.append(period)
        if len({period is None for period in periods}) > 1:
            raise ConfigError("either every --impressions says PERIOD=FILE, or none does.")
        if periods[0] is not None and any("period" in table.types for table in tables):
            raise ConfigError("PERIOD=FILE, but the file has a column 'period' as well; --drop it.")
        return tables, periods


def _files(path: Path) -> list[Path]:
    """The file, or the files of a folder, in order."""
    if not path.is_dir():
        return [path]
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES))
    if not files:
        raise DataError(f"the folder {path} holds no {', '.join(SUFFIXES)}.")
    return files


def _split(split: Split | None, log: Log) -> tuple[Split, bool]:
    """The split asked for or the natural one, and whether given periods are left aside."""
    natural = "given" if log.has_periods else DEFAULT_SPLIT
    split = split or parse_split(natural)
    return split, split.kind != "given"


def _make_items(
    connection: DuckDBPyConnection, table: Table | None, wishes: Wishes, whole: frozenset[str]
) -> list[Field]:
    return _make(connection, "items", "item", table, wishes, whole) if table else []


def _make_users(
    connection: DuckDBPyConnection,
    table: Table | None,
    wishes: Wishes,
    of_log: bool,
    whole: frozenset[str],
) -> list[Field]:
    """Users of their own file, of the log's columns, or of both."""
    fields: list[Field] = []
    if table:
        view = "users_of_file" if of_log else "users"
        fields = _make(connection, view, "user", table, wishes, whole)
    if of_log:
        both = "(FROM users_of_log) FULL JOIN users_of_file USING (user_id)"
        source = f"SELECT * FROM {both}" if table else "FROM users_of_log"
        make_entities(connection, "users", "user_id", source, "--user-fields")
    return fields


def _make(
    connection: DuckDBPyConnection,
    view: str,
    of: FieldOwner,
    table: Table,
    wishes: Wishes,
    whole: frozenset[str],
) -> list[Field]:
    """Make the table of items or users from its file."""
    key = f"{of}_id"
    problems = missing_columns(table, [key])
    problems += [] if problems else broken_rules(connection, table, [missing(table, key)])
    raise_all(problems, DataError, f"the {of}s cannot be used:")
    columns = [column for column in table.types if column != key]
    fields, (values,) = read_fields(connection, [table], columns, of, wishes)
    chosen = [f"{id_value(table, key, key in whole)} AS {key}"]
    chosen += [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]
    query = f"SELECT {', '.join(chosen)} FROM {table.relation}"
    make_entities(connection, view, key, query, str(table.path))
    return fields


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for argument in given or []:
        left, _, right = argument.partition("=")
        if not left or not right:
            raise ConfigError(f"{option} {argument!r} will not do: write NAME=VALUE.")
        pairs[left] = right
    return pairs
