"""Import any click log as a table, with optional files of items and users."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import examples, make_entities, require_common_ids
from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._ids import Kind, id_rules, id_value, kind_of_ids
from ctrbench.datasets._lists import ColumnOptions, printed_lists
from ctrbench.datasets._log import Log, TypedLog, make_impressions
from ctrbench.datasets._negatives import Popularity, Sampling
from ctrbench.datasets._remote import find_everywhere
from ctrbench.datasets._sources import NO_VALUE, Part
from ctrbench.datasets._tables import (
    RemotePath,
    Rule,
    Table,
    broken_rules,
    missing_columns,
    read_table,
    refuse_empty,
    renamed,
    text,
    united,
    with_values,
)
from ctrbench.datasets._text_files import INDEXES, Dialect, temporary_folder
from ctrbench.errors import ConfigError, DataError, raise_all, unknown_name
from ctrbench.importing import Progress, Raw, Reading, SourceFile, parse_split
from ctrbench.importing.relations import Relation, literal, make_table, one_row, quoted
from ctrbench.raw_ids import INTEGERS, as_text
from ctrbench.schema import PERIODS, Field, FieldKind, FieldOwner, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_SPLIT = "time:20/50/10/20"
EXAMPLES = 5  # files named in a note
_INDEX_NOTE = "The index that pandas wrote, a column without a name, is left out."
OWN = ("user_id", "item_id", "click", "timestamp", "period", "history", "weight", "row_id")


@dataclass(frozen=True)
class TableImporter(Importer):
    """Any click log as a table: columns user_id, item_id, click and any further fields."""

    impressions: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="A file, a folder (also of Spark, Hive or Delta), a pattern such as "
            "'log/*.csv', or PERIOD=FILE (train=a.parquet); may be repeated.",
        ),
    ]
    items: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File or folder of item fields, by item_id."),
    ] = None
    users: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="File or folder of user fields, by user_id."),
    ] = None
    images: Annotated[
        Path | None, typer.Option(help="Folder of <item_id>.jpg, or Parquet of item_id, bytes.")
    ] = None
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="OLD=NEW", help="Rename a column: is_click=click; may be repeated."),
    ] = None
    drop: Annotated[str, typer.Option(help="Columns to exclude: a,b")] = ""
    numeric: Annotated[str, typer.Option(help="Columns to read as numbers: a,b")] = ""
    categorical: Annotated[str, typer.Option(help="Columns to read as categories: a,b")] = ""
    lists: Annotated[
        list[str] | None,
        typer.Option(
            "--list",
            metavar="NAME=SEPARATOR",
            help="Split a text column into a list: genres='|'; may be repeated.",
        ),
    ] = None
    text: Annotated[str, typer.Option(help="Item columns to keep as text: title")] = ""
    user_fields: Annotated[
        str, typer.Option(help="Columns of the impressions that describe the user: a,b")
    ] = ""
    pad: Annotated[
        str | None,
        typer.Option(help="Padding value of histories and lists, which is removed: 0"),
    ] = None
    label: Annotated[str, typer.Option(help="Description of a click, for tables.")] = ""
    labels: Annotated[
        str,
        typer.Option(
            help="Columns of further labels, 0 or 1, which are kept and are never inputs: "
            "conversion,like"
        ),
    ] = ""
    valid_share: Annotated[
        float | None,
        typer.Option(help="Share of a given train period to use as valid, if valid is not given."),
    ] = None
    negatives: Annotated[
        int, typer.Option(min=0, help="Non-clicks to sample per click, for a log of clicks only.")
    ] = 0
    negatives_by: Annotated[
        Popularity, typer.Option(help="Sampling weights of items: their clicks, or uniform.")
    ] = Popularity.popularity
    seed: Annotated[int, typer.Option(help="Seed for sampling non-clicks.")] = 0
    separator: Annotated[
        str | None,
        typer.Option(help="Column separator of text files, if it is not detected: ';'"),
    ] = None
    encoding: Annotated[str, typer.Option(help="Encoding of text files: gbk, latin-1, utf-16.")] = (
        "utf-8"
    )
    time_format: Annotated[
        str | None,
        typer.Option(help="Format of text timestamps other than ISO dates: %m/%d/%Y"),
    ] = None
    drop_invalid: Annotated[
        str | None,
        typer.Option(
            metavar="SHARE",
            help="Share of the impressions that may be invalid; they are set aside, counted and "
            "stored in the data set's folder: 0.1%",
        ),
    ] = None

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Return checked and typed views of impressions, items and users; see `Importer`."""
        progress("reading files")
        dialect = Dialect.of(self.separator, self.encoding)
        files = _Files(connection, _pairs("--rename", self.rename), _names(self.drop), dialect)
        tables, periods = files.open_log(self.impressions)
        items, users = files.open(self.items), files.open(self.users)
        beside = [table for table in (items, users) if table]
        options = self._options(connection, [*tables, *beside])
        self._check_names(files, tables, items)
        split, ignore_period = _split(split, Log(tables, periods, False, False, options))
        ids = self._ids(connection, tables, items, users, options)
        log = Log(
            tables,
            periods,
            self.negatives > 0,
            ignore_period,
            options,
            ids,
            self.time_format,
            tuple(_names(self.labels)),
            _share(self.drop_invalid),
        )
        progress("checking the log")
        typed = make_impressions(connection, log, _names(self.user_fields))
        impressions, notes, counts = typed.impressions, typed.notes, typed.counts
        of_items, item_fields = _make(impressions, "item", items, options, ids)
        if "history" in log.columns:
            notes = (*notes, *_history_notes(impressions, of_items))
        if of_items and log.padding is not None:
            padding = f"item_id::VARCHAR = {literal(log.padding)}"
            connection.execute(f"DELETE FROM {of_items} WHERE {padding}")
        of_users, user_fields = _make_users(typed, users, options, ids)
        if items and of_items:
            notes = (*notes, *_listed_note(impressions, of_items, items.path))
        if self.negatives:
            progress("drawing non-clicks")
            sampling = Sampling(self.negatives, self.negatives_by, self.seed)
            impressions, drawn, note = sampling.add(impressions, of_items)
            counts |= drawn
            notes = (*notes, note)
        return Raw(
            impressions,
            importer="table",
            items=of_items,
            users=of_users,
            label=self._label(files, log),
            labels=log.labels,
            split=split,
            fields=(*typed.fields, *item_fields, *user_fields),
            valid_share=self.valid_share,
            images=self.images,
            notes=(*files.notes, *notes),
            counts=counts,
            invalid=typed.invalid,
            files=tuple(files.found),
            readings=_readings(log, typed, [*item_fields, *user_fields]),
        )

    def sources(self, connection: DuckDBPyConnection) -> tuple[SourceFile, ...]:
        """Return the files as found; see `Importer`."""
        dialect = Dialect.of(self.separator, self.encoding)
        files = _Files(connection, _pairs("--rename", self.rename), _names(self.drop), dialect)
        files.open_log(self.impressions)
        files.open(self.items)
        files.open(self.users)
        return tuple(files.found)

    def _ids(
        self,
        connection: DuckDBPyConnection,
        log: list[Table],
        items: Table | None,
        users: Table | None,
        options: ColumnOptions,
    ) -> dict[str, Kind]:
        """Return how ids of the log and of the items and users files are read.

        They are text if both differ, or if non-clicks are sampled.
        """
        found: dict[str, Kind] = {}
        for name, more in (("user_id", users), ("item_id", items)):
            columns = [(table, name) for table in log if name in table.types]
            histories = [t for t in log if "history" in t.types] if name == "item_id" else []
            beside = [(more, name)] if more and name in more.types else []
            kind = kind_of_ids(connection, columns, histories, options)
            theirs = kind_of_ids(connection, beside, [], options) if beside else kind
            join_as_text = kind != theirs or self.negatives > 0
            both: dict[str, Kind] = {name: kind, f"{name} beside": theirs}
            for key, one in both.items():
                found[key] = "text" if join_as_text and one == "whole" else one
        return found

    def _options(self, connection: DuckDBPyConnection, tables: list[Table]) -> ColumnOptions:
        kinds: dict[str, FieldKind] = {}
        separators = _pairs("--list", self.lists)
        printed = printed_lists(connection, tables)
        for name in printed & separators.keys():
            raise ConfigError(
                f"--list {name}={separators[name]}: the values of '{name}' are printed lists such "
                "as [1, 2], which need no separator. Remove the option."
            )
        requested: tuple[tuple[FieldKind, list[str]], ...] = (
            ("numeric", _names(self.numeric)),
            ("categorical", _names(self.categorical)),
            ("text", _names(self.text)),
            ("list", [name for name in separators if name != "history"]),
        )
        for kind, names in requested:
            for name in names:
                if name in kinds:
                    raise ConfigError(
                        f"'{name}' cannot be both {kinds[name]} and {kind}. Remove one option."
                    )
                kinds[name] = kind
        pad = None if self.pad is None else as_text([self.pad], "--pad", typed=False)[0]
        return ColumnOptions(kinds, separators, pad, printed)

    def _check_names(self, files: _Files, log: list[Table], items: Table | None) -> None:
        """Check that the files have every column that an option names."""
        everywhere = files.columns
        of_items = list(items.types) if items else []
        named = [
            *((name, everywhere) for name in _pairs("--list", self.lists)),
            *((name, everywhere) for name in _names(self.numeric) + _names(self.categorical)),
            *((name, of_items) for name in _names(self.text)),
            *((name, list(log[0].types)) for name in _names(self.user_fields)),
            *((name, list(log[0].types)) for name in _names(self.labels)),
            *((name, set(files.originals)) for name in [*files.renames, *files.drops]),
        ]
        problems = [
            unknown_name("column", name, known) for name, known in named if name not in known
        ]
        problems += [
            f"'{name}' is not a field: --numeric, --categorical and --text do not apply to it."
            for name in _names(self.numeric) + _names(self.categorical) + _names(self.text)
            if name in OWN
        ]
        problems += [
            f"--labels {name}: the column already has another meaning."
            for name in _names(self.labels)
            if name in (*OWN, *_names(self.user_fields))
        ]
        raise_all(problems, ConfigError, "options name unsuitable columns:")

    def _label(self, files: _Files, log: Log) -> str:
        if self.label:
            return self.label
        if "click" not in log.columns:
            return "a row of the log"
        names = {new: old for old, new in files.renames.items()}
        return f"{names.get('click', 'click')} = 1"


class _Files:
    """Opens files, renames and drops columns, and collects column names and notes."""

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
        self.found: list[SourceFile] = []

    def open(self, given: str | Path | None) -> Table | None:
        """Return a file or the files of a folder as one table, or None without a file."""
        if given is None:
            return None
        parts, notes = find_everywhere(str(given), temporary_folder(self.connection))
        self.notes += notes
        tables = [self._open(part) for part in parts]
        tables = [table for table in tables if table.rows] or tables[:1]
        return refuse_empty(united(self.connection, tables, Path(given)))

    def open_log(self, given: list[str]) -> tuple[list[Table], list[str | None]]:
        """Return the tables of the log, and the period of each that is given as PERIOD=FILE."""
        tables, periods, empty, seen = [], [], [], set[str]()
        twice = sorted({argument for argument in given if given.count(argument) > 1})
        if twice:
            raise ConfigError(f"--impressions {', '.join(twice)} is given twice.")
        for argument in given:
            period, _, path = argument.partition("=")
            if period not in PERIODS:
                period, path = None, argument
            parts, notes = find_everywhere(path, temporary_folder(self.connection))
            self.notes += notes
            _check_new(parts, seen)
            for table in map(self._open, parts):
                if table.rows:
                    tables.append(table)
                    periods.append(period)
                else:
                    empty.append(table)
        if not tables:
            raise DataError(f"{empty[0].path} has no rows." if empty else "the log has no rows.")
        if empty:
            named = ", ".join(table.path.name for table in empty[:EXAMPLES])
            self.notes.append(f"{len(empty)} file(s) have no rows: {named}.")
        if len({period is None for period in periods}) > 1:
            raise ConfigError("--impressions: give PERIOD=FILE for all files or for none.")
        if periods[0] is not None and any("period" in table.types for table in tables):
            raise ConfigError(
                "--impressions gives PERIOD=FILE, but a file has a column 'period'. Give --drop "
                "period."
            )
        return tables, periods

    def _open(self, part: Part) -> Table:
        try:
            table = read_table(self.connection, part.path, dialect=self.dialect)
        except DataError as error:
            if part.shown is None:
                raise
            raise DataError(str(error).replace(str(part.path), part.shown)) from error
        if part.shown is not None:
            table = replace(table, path=RemotePath(part.shown))
        own = {name.lower(): name for name in table.types}
        both = {own[n.lower()]: v for n, v in part.partitions.items() if n.lower() in own}
        _check_partitions(self.connection, table, both)
        more = {n: value for n, value in part.partitions.items() if n.lower() not in own}
        self.found.append(self._described(table, more))
        table = with_values(self.connection, table, more) if more else table
        indexes = {name for name in table.types if name.startswith(INDEXES)} - self.renames.keys()
        if indexes and _INDEX_NOTE not in self.notes:
            self.notes.append(_INDEX_NOTE)
        dropped = indexes | {*self.drops}
        names = {old: self.renames.get(old, old) for old in table.types if old not in dropped}
        if len(set(names.values())) < len(names):
            raise ConfigError(
                f"{table.path}: --rename gives two columns the same name. Drop one of them."
            )
        self.originals += table.types
        self.columns += names.values()
        return renamed(self.connection, table, names)

    def _described(self, table: Table, folders: Iterable[str]) -> SourceFile:
        form = table.path.suffix.removeprefix(".")
        if table.text_file is not None:
            how = "given" if self.dialect.separator else "detected"
            form = f"text, separator {table.text_file.separator!r} ({how}), {self.dialect.encoding}"
        types = table.types | dict.fromkeys(folders, "name of a folder")
        return SourceFile(str(table.path), form, table.rows, types)


def _check_new(parts: list[Part], seen: set[str]) -> None:
    """Check that no file was read before, and add the files to those seen.

    Raises:
        ConfigError: Two arguments include the same file.
    """
    for part in parts:
        path = part.shown or str(part.path.resolve())
        if path in seen:
            raise ConfigError(f"--impressions includes {path} twice. Remove one argument.")
        seen.add(path)


def _check_partitions(
    connection: DuckDBPyConnection, table: Table, values: dict[str, str | None]
) -> None:
    """Check that folders `name=value` agree with the file's columns of the same names.

    Raises:
        DataError: A value of a column differs from that of the folder.
    """
    rules = []
    for name, value in values.items():
        found, given = text(table, name), "NULL" if value is None else literal(value)
        equal = f"coalesce(TRY_CAST({found} AS DOUBLE) = TRY_CAST({given} AS DOUBLE), false)"
        wrong = f"{found} IS DISTINCT FROM {given} AND NOT {equal}"
        what = f"differ from the folder {name}={NO_VALUE if value is None else value}"
        rules.append(Rule(name, wrong, what, "rename the folder or the column"))
    problems = broken_rules(connection, table, rules)
    raise_all(problems, DataError, "folders and columns disagree:")


def _split(split: Split | None, log: Log) -> tuple[Split, bool]:
    """Return the requested or default split, and whether it ignores given periods."""
    natural = "given" if log.has_periods else DEFAULT_SPLIT
    split = split or parse_split(natural)
    return split, split.kind != "given"


def _listed_note(impressions: Relation, items: Relation, path: Path) -> list[str]:
    """Return a note if the items file has no row for most shown items."""
    shown, listed = one_row(
        impressions.connection,
        f"""SELECT count(*), count(*) FILTER (item_id IN (SELECT item_id FROM {items}))
        FROM (SELECT DISTINCT item_id FROM {impressions})""",
    )
    few = listed < shown / 2
    return [f"{path.name} has a row for {listed} of {shown} shown items."] * few


def _history_notes(impressions: Relation, items: Relation | None) -> list[str]:
    """Return a note if the log and the items file lack most items of given histories.

    Raises:
        DataError: They lack all of them, because ids are written differently or are of another log.
    """
    known = f"SELECT item_id FROM {impressions}"
    if items is not None:
        known += f" UNION ALL SELECT item_id FROM {items}"
    clicked = make_table(
        impressions.connection,
        "clicked",
        f"""SELECT item_id, count(*) AS entries
        FROM (SELECT unnest(history) AS item_id FROM {impressions}) GROUP BY item_id""",
    )
    total, found = clicked.one_row(
        f"""coalesce(sum(entries), 0), coalesce(sum(entries) FILTER (
        item_id IN ({known})), 0)"""
    )
    if total and not found:
        theirs, ours = (examples(relation, "item_id") for relation in (clicked, impressions))
        raise DataError(
            f"no item of the given histories occurs in the log. The histories have {theirs}; the "
            f"log has {ours}. Use one spelling of ids; if the ids of a history are joined by a "
            "separator, give --list 'history=^'."
        )
    if found < total / 2:
        share = f"{100 * found / total:.1f} %"
        return [f"Only {share} of the entries of given histories are items of the log."]
    return []


def _readings(log: Log, typed: TypedLog, beside: list[Field]) -> tuple[Reading, ...]:
    """Return how each column is read, for the dry run."""
    found = []
    for name in ("user_id", "item_id"):
        kind = log.ids[name]
        words = {"whole": "integers", "text": "text", "floats": "numbers, without '.0'"}
        integers = all(table.types[name] in INTEGERS for table in log.tables)
        form = words["whole"] if integers else words[kind]
        found.append(Reading(name, f"IDs: {form}", guessed=kind == "floats"))
    if "click" in log.columns:
        found.append(Reading("click", "label, 0 or 1", guessed=False))
    if typed.unit:
        found.append(Reading("timestamp", f"time: {typed.unit}", guessed=log.time_format is None))
    if "history" in log.columns:
        cut = log.options.separators.get("history")
        form = f"IDs separated by {cut!r}" if cut else "printed lists" * bool(log.options.printed)
        found.append(Reading("history", form or "lists", guessed="history" in log.options.printed))
    found += [Reading(name, "further label, 0 or 1", guessed=False) for name in log.labels]
    found += [
        Reading(name, what, guessed=False)
        for name, what in (("weight", "weight"), ("period", "period"), ("row_id", "row number"))
        if name in log.columns
    ]
    for one in (*typed.fields, *beside):
        guessed = one.name not in log.options.kinds
        found.append(Reading(one.name, f"{one.kind} field of the {one.of}", guessed))
    return tuple(found)


def _make_users(
    log: TypedLog, table: Table | None, options: ColumnOptions, ids: dict[str, Kind]
) -> tuple[Relation | None, list[Field]]:
    """Return users from the users file, the log's columns, or both, and the fields of the file."""
    of_file, fields = _make(log.impressions, "user", table, options, ids)
    if log.users is None:
        return of_file, fields
    source = f"FROM {log.users}"
    if of_file is not None:
        source = f"SELECT * FROM (FROM {log.users}) FULL JOIN {of_file} USING (user_id)"
    connection = log.impressions.connection
    return make_entities(connection, "users", "user_id", source, "--user-fields"), fields


def _make(
    impressions: Relation,
    of: FieldOwner,
    table: Table | None,
    options: ColumnOptions,
    ids: dict[str, Kind],
) -> tuple[Relation | None, list[Field]]:
    """Return the items or users of a file, and its fields."""
    if table is None:
        return None, []
    connection, key = impressions.connection, f"{of}_id"
    problems = missing_columns(table, [key])
    problems += (
        []
        if problems
        else broken_rules(connection, table, id_rules(table, key, ids[f"{key} beside"]))
    )
    raise_all(problems, DataError, f"the {of}s cannot be used:")
    columns = [column for column in table.types if column != key]
    fields, (values,) = read_fields(connection, [table], columns, of, options)
    chosen = [f"{id_value(table, key, ids[f'{key} beside'])} AS {key}"]
    chosen += [f"{value} AS {quoted(f.name)}" for f, value in zip(fields, values, strict=True)]
    query = f"SELECT {', '.join(chosen)} FROM {table.relation}"
    entities = make_entities(connection, f"{of}s", key, query, str(table.path))
    require_common_ids(entities, key, table.path, impressions)
    return entities, fields


def _share(given: str | None) -> float | None:
    """Return the share that a percentage states."""
    if given is None:
        return None
    number, _, rest = given.partition("%")
    try:
        share = float(number) / 100
    except ValueError:
        share = -1.0
    if rest or "%" not in given or not 0 <= share <= 1:
        raise ConfigError(f"--drop-invalid {given}: give a percentage from 0% to 100%, as 0.1%.")
    return share


def _names(listed: str) -> list[str]:
    return [name.strip() for name in listed.split(",") if name.strip()]


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    pairs = {}
    for argument in given or []:
        left, _, right = argument.partition("=")
        if not left or not right:
            raise ConfigError(f"{option} {argument!r}: write NAME=VALUE.")
        pairs[left] = right.replace("\\t", "\t")
    return pairs
