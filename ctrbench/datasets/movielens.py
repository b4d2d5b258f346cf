"""Import MovieLens ratings as clicks, from any of the three formats that GroupLens publishes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar

import typer

from ctrbench.datasets._base import Importer
from ctrbench.datasets._entities import make_entities, require_common_ids
from ctrbench.datasets._fields import read_fields
from ctrbench.datasets._ids import id_rules, id_value
from ctrbench.datasets._lists import ColumnOptions
from ctrbench.datasets._public import broken_official
from ctrbench.datasets._tables import (
    Rule,
    Table,
    missing,
    missing_columns,
    read_table,
    refuse_empty,
    text,
)
from ctrbench.datasets._text_files import Dialect
from ctrbench.datasets._timestamps import Times, open_times, timestamp_expressions
from ctrbench.errors import ConfigError, DataError, raise_all
from ctrbench.importing import Progress, Raw, parse_split
from ctrbench.importing.relations import Relation, literal, make_view, quoted
from ctrbench.schema import Field, FieldKind, Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

DEFAULT_SPLIT = "per_user:20/50/10/20"
RATINGS = ["userId", "movieId", "rating", "timestamp"]
MOVIES = ["movieId", "title", "genres"]
GENRES = (  # genres of ml-100k's flags, in the order of u.genre; the first, "unknown", is dropped
    *("", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary"),
    *("Drama", "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi"),
    *("Thriller", "War", "Western"),
)
USERS_1M = ["userId", "gender", "age", "occupation"]
USERS_100K = ["userId", "age", "gender", "occupation"]
JOINED_GENRES = "list_filter(string_split(genres, '|'), lambda g: g <> '(no genres listed)')"
YEAR = r"\((\d{4})(?:[-–]\d{0,4})?\)\s*$"  # "Toy Story (1995)", "Das Boot (1985–)"


@dataclass(frozen=True)
class MovieLens(Importer):
    """Ratings of MovieLens (ratings.csv, ml-1m's ratings.dat or ml-100k's u.data) as clicks."""

    default_name: ClassVar[str | None] = "movielens"

    source: Annotated[Path, typer.Option(help="The unpacked folder.")]
    images: Annotated[
        Path | None, typer.Option(help="Folder of <movieId>.jpg, or Parquet of item_id, bytes.")
    ] = None
    threshold: Annotated[float, typer.Option(help="A rating of at least this is a click.")] = 4.0
    item_fields: Annotated[
        Path | None, typer.Option(help="CSV or Parquet by movieId that adds fields of movies.")
    ] = None

    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Return impressions from ratings, and movies; users if the format has them.

        See `Importer` for the arguments.

        Raises:
            ConfigError: The threshold is not finite.
            DataError: A file is missing, damaged, or has invalid content.
        """
        if not isfinite(self.threshold):
            raise ConfigError(f"--threshold {self.threshold}: give a rating, such as 4.")
        progress("reading ratings")
        files = _find(connection, self.source)
        times = _check(connection, files)
        (when,), notes = timestamp_expressions(connection, times)
        impressions = make_view(
            connection,
            "impressions",
            f"""SELECT {id_value(files.ratings, "userId", "text")} AS user_id,
                {id_value(files.ratings, "movieId", "text")} AS item_id,
                (rating::DOUBLE >= {self.threshold})::TINYINT AS click, {when} AS timestamp
            FROM {files.ratings.relation}""",
        )
        progress("reading movies")
        items, fields = self._movies(files, impressions)
        users = None
        if files.users:
            users, user_fields = _users(connection, files, files.users)
            fields += user_fields
        return Raw(
            impressions,
            importer="movielens",
            items=items,
            users=users,
            label=f"rating >= {self.threshold:g}",
            split=split or parse_split(DEFAULT_SPLIT),
            fields=tuple(fields),
            images=self.images,
            notes=(
                "A rating is not a click: every impression is a movie the user chose to rate.",
                *notes,
            ),
        )

    def _movies(self, files: _Files, impressions: Relation) -> tuple[Relation, list[Field]]:
        connection = impressions.connection
        key = id_value(files.movies, "movieId", "text")
        query = f"""SELECT {key} AS item_id, {files.genres} AS genres, trim(title) AS title,
            regexp_extract(title, '{YEAR}', 1) AS year FROM {files.movies.relation}"""
        fields = [
            Field(name="genres", of="item", kind="list"),
            Field(name="title", of="item", kind="text"),
            Field(name="year", of="item", kind="categorical"),
        ]
        if self.item_fields:
            more, more_fields = _more_fields(connection, self.item_fields)
            query = f"SELECT * FROM ({query}) LEFT JOIN {more} USING (item_id)"
            fields += more_fields
        movies = make_entities(connection, "items", "item_id", query, str(files.movies.path))
        require_common_ids(movies, "item_id", files.movies.path, impressions)
        return movies, fields


@dataclass(frozen=True)
class _Files:
    ratings: Table
    movies: Table
    genres: str  # SQL for the list of genres
    users: Table | None = None
    age: FieldKind = "categorical"  # ml-1m has age groups, ml-100k years


def _find(connection: DuckDBPyConnection, folder: Path) -> _Files:
    """Open the files of the format that the folder contains."""
    formats: dict[str, Callable[[DuckDBPyConnection, Path], _Files]] = {
        "ratings.csv": _csv,
        "ratings.dat": _dat,
        "u.data": _hundred_thousand,
    }
    if not folder.is_dir():
        hint = " It is a file: unpack it and give the folder." if folder.is_file() else ""
        raise DataError(f"no folder {folder}.{hint}")
    for name, read in formats.items():
        if (folder / name).exists():
            return read(connection, folder)
    inner = sorted(path.parent for name in formats for path in folder.glob(f"*/{name}"))
    hint = f" Did you mean {inner[0]}?" if inner else ""
    raise DataError(f"{folder} contains none of {', '.join(formats)}.{hint}")


def _csv(connection: DuckDBPyConnection, folder: Path) -> _Files:
    ratings, movies = folder / "ratings.csv", folder / "movies.csv"
    return _Files(
        refuse_empty(read_table(connection, ratings)),
        refuse_empty(read_table(connection, movies)),
        JOINED_GENRES,
    )


def _dat(connection: DuckDBPyConnection, folder: Path) -> _Files:
    """Open ml-1m, or ml-10m, whose movies are in UTF-8 and which has no users."""
    movies, users = folder / "movies.dat", folder / "users.dat"
    return _Files(
        _bare(connection, folder / "ratings.dat", RATINGS, "::"),
        _bare(connection, movies, MOVIES, "::"),
        JOINED_GENRES,
        _bare(connection, users, [*USERS_1M, "zip"], "::") if users.exists() else None,
    )


def _hundred_thousand(connection: DuckDBPyConnection, folder: Path) -> _Files:
    movies, users = folder / "u.item", folder / "u.user"
    columns = ["movieId", "title", "released", "video", "url"]
    flags = [f"CASE WHEN flag{i} = '1' THEN {literal(g)} END" for i, g in enumerate(GENRES) if g]
    columns += [f"flag{index}" for index in range(len(GENRES))]
    return _Files(
        _bare(connection, folder / "u.data", RATINGS, "\t"),
        _bare(connection, movies, columns, "|"),
        f"list_filter([{', '.join(flags)}], lambda g: g IS NOT NULL)",
        _bare(connection, users, [*USERS_100K, "zip"], "|") if users.exists() else None,
        "numeric",
    )


def _bare(connection: DuckDBPyConnection, path: Path, columns: list[str], separator: str) -> Table:
    dialect = Dialect(separator, _encoding(path))
    return refuse_empty(read_table(connection, path, columns, dialect))


def _encoding(path: Path) -> str:
    """Return UTF-8 if the file is valid UTF-8, else latin-1, the encoding of older data sets."""
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return "latin-1"
    except OSError:
        return "utf-8"  # `read_table` reports the error
    return "utf-8"


def _check(connection: DuckDBPyConnection, files: _Files) -> list[Times]:
    """Check ratings and movies, and return how the timestamps of ratings are read."""
    problems = missing_columns(files.ratings, RATINGS)
    problems += missing_columns(files.movies, ["movieId", "title"])
    if "flag0" not in files.movies.types:
        problems += missing_columns(files.movies, ["genres"])
    raise_all(problems, DataError, "these files are not MovieLens:")
    rating = text(files.ratings, "rating")
    times = open_times(connection, [files.ratings])
    rules = [
        *id_rules(files.ratings, "userId", "text"),
        *id_rules(files.ratings, "movieId", "text"),
        *times[0].rules(),
        missing(files.ratings, "rating"),
        Rule(
            "rating",
            f"{rating} IS NOT NULL AND NOT coalesce(isfinite(TRY_CAST({rating} AS DOUBLE)), false)",
            "are not numbers",
        ),
    ]
    problems = broken_official(connection, files.ratings, rules)
    problems += broken_official(connection, files.movies, id_rules(files.movies, "movieId", "text"))
    raise_all(problems, DataError, "these ratings cannot be used:")
    return times


def _more_fields(connection: DuckDBPyConnection, path: Path) -> tuple[Relation, list[Field]]:
    """Read further fields of movies from a file with a column movieId or item_id."""
    table = refuse_empty(read_table(connection, path))
    key = "item_id" if "item_id" in table.types else "movieId"
    raise_all(missing_columns(table, [key]), DataError, "--item-fields cannot be joined:")
    columns = [column for column in table.types if column != key]
    taken = sorted({"genres", "title", "year"} & {column.lower() for column in columns})
    problems = [f"{path}: MovieLens already has a field '{name}'; rename it." for name in taken]
    problems += broken_official(connection, table, id_rules(table, key, "text"))
    raise_all(problems, DataError, "--item-fields cannot be joined:")
    fields, (values,) = read_fields(connection, [table], columns, "item", ColumnOptions())
    chosen = [f"{id_value(table, key, 'text')} AS item_id"]
    chosen += [f"{v} AS {quoted(f.name)}" for v, f in zip(values, fields, strict=True)]
    query = f"SELECT {', '.join(chosen)} FROM {table.relation}"
    return make_entities(connection, "more fields", "item_id", query, str(path)), fields


def _users(
    connection: DuckDBPyConnection, files: _Files, users: Table
) -> tuple[Relation, list[Field]]:
    problems = broken_official(connection, users, id_rules(users, "userId", "text"))
    raise_all(problems, DataError, "these users cannot be used:")
    columns = ["age", "gender", "occupation"]
    options = ColumnOptions(kinds={"age": files.age})
    fields, (values,) = read_fields(connection, [users], columns, "user", options)
    chosen = [f"{id_value(users, 'userId', 'text')} AS user_id"]
    chosen += [f"{v} AS {f.name}" for v, f in zip(values, fields, strict=True)]
    query = f"SELECT {', '.join(chosen)} FROM {users.relation}"
    return make_entities(connection, "users", "user_id", query, str(users.path)), fields
