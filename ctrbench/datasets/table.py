"""Any click log as CSV or Parquet: impressions, and files of items and users beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import examples, make_entities, refuse_strangers
from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._ids import Kind, id_rules, id_value, kind_of_ids
from ctrbench.datasets._lists import Wishes, printed_lists
from ctrbench.datasets._log import Log, make_impressions
from ctrbench.datasets._negatives import Popularity, add_negatives
from ctrbench.datasets._sources import Part, find_parts
from ctrbench.datasets._tables import (
    Table,
    broken_rules,
    missing_columns,
    read_table,
    refuse_empty,
    renamed,
    with_values,
)
from ctrbench.datasets._text_files import Dialect
from ctrbench.errors import ConfigError, DataError, raise_all, unknown_name
from ctrbench.impressions import Progress, Raw, parse_split
from ctrbench.impressions.database import has_view, literal, one_row, quoted
from ctrbench.raw_ids import as_text
from ctrbench.schema import PERIODS, Field, FieldKind, FieldOwner, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_SPLIT = "time:20/50/10/20"
EXAMPLES = 5  # files named in a note
OWN = ("user_id", "item_id", "click", "timestamp", "period", "history", "weight")


@dataclass(frozen=True)
class TableImporter(Importer):
    """A click log in CSV or Parquet: columns user_id, item_id, click and any further fields."""

    impressions: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="A file, a folder (also of Spark or Hive), a pattern such as 'log/*.csv', or "
            "PERIOD=FILE (train=a.parquet); may be repeated.",
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
    separator: Annotated[
        str | None, typer.Option(help="Of columns in text files, if it is not found by itself: ';'")
    ] = None
    encoding: Annotated[str, typer.Option(help="Of text files: gbk, latin-1, utf-16.")] = "utf-8"
    time_format: Annotated[
        str | None, typer.Option(help="Of timestamps as text, if they are no ISO dates: %m/%d/%Y")
    ] = None
    drop_invalid: Annotated[
        bool,
        typer.Option(
            "--drop-invalid", help="Leave out rows without ids or with impossible times; counted."
        ),
    ] = False

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Impressions of all files, items and users, checked and typed."""
        progress("reading files")
        dialect = Dialect.of(self.separator, self.encoding)
        files = _Files(connection, _pairs("--rename", self.rename), _names(self.drop), dialect)
        tables, periods = files.open_log(self.impressions)
        items, users = files.open(self.items), files.open(self.users)
        beside = [table for table in (items, users) if table]
        wishes = self._wishes(connection, [*tables, *beside])
        self._check_names(files, tables, items)
        split, ignore_period = _split(split, Log(tables, periods, False, False, wishes))
        ids = self._ids(connection, tables, items, users, wishes)
        log = Log(
            tables,
            periods,
            self.negatives > 0,
            ignore_period,
            wishes,
            ids,
            self.time_format,
            self.drop_invalid,
        )
        progress("checking the log")
        fields, notes, counts = make_impressions(connection, log, _names(self.user_fields))
        fields += _make_items(connection, items, wishes, ids)
        if "history" in log.columns:
            notes = (*notes, *_history_notes(connection))
        if items and log.padding is not None:
            connection.execute(f"DELETE FROM items WHERE item_id::VARCHAR = {literal(log.padding)}")
        fields += _make_users(connection, users, wishes, bool(_names(self.user_fields)), ids)
        if items:
            notes = (*notes, *_listed_note(connection, items.path))
        if self.negatives:
            progress("drawing non-clicks")
            drawn = add_negatives(connection, self.negatives, self.negatives_by, self.seed)
            counts["drawn_negatives"] = drawn
            clicks = one_row(connection, "SELECT count(*) FROM impressions WHERE click = 1")[0]
            notes = (*notes, self._drawn_note(drawn, self.negatives * clicks - drawn))
        return Raw(
            connection,
            importer="table",
            label=self._label(files, log),
            split=split,
            fields=tuple(fields),
            valid_share=self.valid_share,
            images=self.images,
            notes=(*files.notes, *notes),
            counts=counts,
        )

    def _ids(
        self,
        connection: DuckDBPyConnection,
        log: list[Table],
        items: Table | None,
        users: Table | None,
        wishes: Wishes,
    ) -> dict[str, Kind]:
        """How ids of the log are read, and of the file beside it; drawn non-clicks go by text."""
        found: dict[str, Kind] = {}
        for name, more in (("user_id", users), ("item_id", items)):
            columns = [(table, name) for table in log if name in table.types]
            histories = [t for t in log if "history" in t.types] if name == "item_id" else []
            beside = [(more, name)] if more and name in more.types else []
            kind = kind_of_ids(connection, columns, histories, wishes)
            theirs = kind_of_ids(connection, beside, [], wishes) if beside else kind
            join_as_text = kind != theirs or self.negatives > 0
            both: dict[str, Kind] = {name: kind, f"{name} beside": theirs}
            for key, one in both.items():
                found[key] = "text" if join_as_text and one == "whole" else one
        return found

    def _wishes(self, connection: DuckDBPyConnection, tables: list[Table]) -> Wishes:
        kinds: dict[str, FieldKind] = {}
        separators = _pairs("--list", self.lists)
        printed = printed_lists(connection, tables)
        for name in printed & separators.keys():
            raise ConfigError(
                f"the values of '{name}' are lists as programs print them, [1, 2]: leave out "
                f"--list {name}={separators[name]}; they are read as they are."
            )
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
        pad = None if self.pad is None else as_text([self.pad], "--pad", typed=False)[0]
        return Wishes(kinds, separators, pad, printed)

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
        problems += [
            f"'{name}' is no field: --numeric, --categorical and --text would do nothing."
            for name in _names(self.numeric) + _names(self.categorical) + _names(self.text)
            if name in OWN
        ]
        raise_all(problems, ConfigError, "options name columns that are not there:")

    def _label(self, files: _Files, log: Log) -> str:
        if self.label:
            return self.label
        if "click" not in log.columns:
            return "a row of the log"
        names = {new: old for old, new in files.renames.items()}
        return f"{names.get('click', 'click')} = 1"

    def _drawn_note(self, drawn: int, missing: int) -> str:
        how = (
            "uniformly" if self.negatives_by is Popularity.uniform else "by clicks in the whole log"
        )
        return (
            f"{drawn} non-clicks were drawn, {self.negatives} a click, {how} (seed {self.seed}), "
            "never an item the user clicks at any time: it knows the future, and sets the CTR."
            + f" {missing} could not be drawn: users clicked nearly all items."
            * (missing > 0)
        )


class _Files:
    """Opens files with the columns that remain, under their new names, and remembers all names."""

    def __init__(
        self,
        connection: DuckDBPyConnection,
        renames: dict[str, str],
        drops: list[str],
        dialect: Dialect,
    ) -> None:
        self.connection, self.renames, self.drops = connection, renames, drops
        self.dialect = dialect
        self.originals: list[str] = []
        self.columns: list[str] = []
        self.notes: list[str] = []

    def open(self, path: Path | None) -> Table | None:
        """The file as a table; None stays None."""
        return None if path is None else refuse_empty(self._open(Part(path)))

    def open_log(self, given: list[str]) -> tuple[list[Table], list[str | None]]:
        """The files of the log, and the period of each where PERIOD=FILE says it."""
        tables, periods, empty = [], [], []
        twice = sorted({argument for argument in given if given.count(argument) > 1})
        if twice:
            raise ConfigError(f"--impressions {', '.join(twice)} is given twice.")
        for argument in given:
            period, _, path = argument.partition("=")
            if period not in PERIODS:
                period, path = None, argument
            parts, notes = find_parts(path)
            self.notes += notes
            for table in map(self._open, parts):
                if table.rows:
                    tables.append(table)
                    periods.append(period)
                else:
                    empty.append(table)
        if not tables:
            raise DataError(f"{empty[0].path} holds no rows." if empty else "there is no row.")
        if empty:
            named = ", ".join(table.path.name for table in empty[:EXAMPLES])
            self.notes.append(f"{len(empty)} file(s) hold no rows: {named}.")
        if len({period is None for period in periods}) > 1:
            raise ConfigError("either every --impressions says PERIOD=FILE, or none does.")
        if periods[0] is not None and any("period" in table.types for table in tables):
            raise ConfigError("PERIOD=FILE, but the file has a column 'period' as well; --drop it.")
        return tables, periods

    def _open(self, part: Part) -> Table:
        table = read_table(self.connection, part.path, dialect=self.dialect)
        more = {name: value for name, value in part.partitions.items() if name not in table.types}
        table = with_values(self.connection, table, more) if more else table
        names = {old: self.renames.get(old, old) for old in table.types if old not in self.drops}
        if len(set(names.values())) < len(names):
            raise ConfigError(
                f"{part.path}: --rename makes two columns of one name; drop one of them."
            )
        self.originals += table.types
        self.columns += names.values()
        return renamed(self.connection, table, names)


def _split(split: Split | None, log: Log) -> tuple[Split, bool]:
    """The split asked for or the natural one, and whether given periods are left aside."""
    natural = "given" if log.has_periods else DEFAULT_SPLIT
    split = split or parse_split(natural)
    return split, split.kind != "given"


def _make_items(
    connection: DuckDBPyConnection, table: Table | None, wishes: Wishes, ids: dict[str, Kind]
) -> list[Field]:
    return _make(connection, "items", "item", table, wishes, ids) if table else []


def _listed_note(connection: DuckDBPyConnection, path: Path) -> list[str]:
    """A note where the items file has no row for most items that are shown."""
    shown, listed = one_row(
        connection,
        """SELECT count(*), count(*) FILTER (item_id IN (SELECT item_id FROM items))
        FROM (SELECT DISTINCT item_id FROM impressions)""",
    )
    few = listed < shown / 2
    return [f"{path.name} has a row for {listed} of {shown} items that are shown."] * few


def _history_notes(connection: DuckDBPyConnection) -> list[str]:
    """A note where most items of given histories are none that the log shows or the file lists.

    Raises:
        DataError: none is, so that their ids are spelt otherwise, or of another log.
    """
    known = "SELECT item_id FROM impressions"
    if has_view(connection, "items"):
        known += " UNION ALL SELECT item_id FROM items"
    connection.execute(
        """CREATE TABLE clicked AS SELECT item_id, count(*) AS entries
        FROM (SELECT unnest(history) AS item_id FROM impressions) GROUP BY item_id"""
    )
    total, met = one_row(
        connection,
        f"""SELECT coalesce(sum(entries), 0), coalesce(sum(entries) FILTER (
        item_id IN ({known})), 0) FROM clicked""",
    )
    if total and not met:
        theirs, ours = (
            examples(connection, name, "item_id") for name in ("clicked", "impressions")
        )
        raise DataError(
            f"no item of the given histories occurs in the log: they have {theirs}, it has {ours}. "
            "Spell both in one way; a sign that joins ids is named by --list 'history=^'."
        )
    if met < total / 2:
        share = f"{100 * met / total:.1f} %"
        return [f"Only {share} of the entries of given histories are items of the log."]
    return []


def _make_users(
    connection: DuckDBPyConnection,
    table: Table | None,
    wishes: Wishes,
    of_log: bool,
    ids: dict[str, Kind],
) -> list[Field]:
    """Users of their own file, of the log's columns, or of both."""
    fields: list[Field] = []
    if table:
        view = "users_of_file" if of_log else "users"
        fields = _make(connection, view, "user", table, wishes, ids)
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
    ids: dict[str, Kind],
) -> list[Field]:
    """Make the table of items or users from its file."""
    key = f"{of}_id"
    problems = missing_columns(table, [key])
    problems += (
        []
        if problems
        else broken_rules(connection, table, id_rules(table, key, ids[f"{key} beside"]))
    )
    raise_all(problems, DataError, f"the {of}s cannot be used:")
    columns = [column for column in table.types if column != key]
    fields, (values,) = read_fields(connection, [table], columns, of, wishes)
    chosen = [f"{id_value(table, key, ids[f'{key} beside'])} AS {key}"]
    chosen += [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]
    query = f"SELECT {', '.join(chosen)} FROM {table.relation}"
    make_entities(connection, view, key, query, str(table.path))
    refuse_strangers(connection, view, key, table.path)
    return fields


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for argument in given or []:
        left, _, right = argument.partition("=")
        if not left or not right:
            raise ConfigError(f"{option} {argument!r} will not do: write NAME=VALUE.")
        pairs[left] = right.replace("\\t", "\t")
    return pairs
