"""CSV and TSV files as DuckDB reads them: separator, encoding, line ends, and where lines stand."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.errors import ConfigError, DataError
from ctrbench.impressions.database import literal, one_row, quoted
from ctrbench.separators import separators

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEPARATORS = {".csv": ",", ".tsv": "\t"}
BLOCK = 1 << 24
LONGEST_HEADER = 1 << 20
MOST_COLUMNS = 4096
MARKS = (  # the longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"  # with which a decoded file may begin


@dataclass(frozen=True)
class Dialect:
    """What the user says about text files."""

    separator: str | None = None  # None: by the ending, or the header
    encoding: str = "utf-8"

    @classmethod
    def of(cls, separator: str | None, encoding: str) -> Dialect:
        """As a person writes it: a backslash and t for a tab, any name of an encoding.

        Raises:
            ConfigError: no such encoding, or a separator that is none.
        """
        found = cls(None if separator is None else separator.replace("\\t", "\t"), encoding)
        found.check()
        return replace(found, encoding=codecs.lookup(encoding).name)

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            ConfigError: no such encoding, or a separator that is none.
        """
        try:
            "".encode(self.encoding)
        except LookupError as error:
            told = f"no encoding {self.encoding!r}; such as utf-8, gbk, latin-1, utf-16."
            raise ConfigError(f"--encoding: {told}") from error
        if self.separator is not None and not 1 <= len(self.separator.encode()) <= 4:
            raise ConfigError("--separator takes one to four bytes, such as ';' or '\\t'.")


@dataclass(frozen=True)
class TextFile:
    """One text file, ready for DuckDB."""

    path: Path  # of the file itself, or of a copy in UTF-8 with one kind of line ends
    columns: list[str]
    separator: str
    has_header: bool
    padded: bool  # blanks stand beside the separators
    lines: int

    def select(self) -> str:
        """SQL that reads all columns as VARCHAR, guessing nothing."""
        types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in self.columns)
        quote = literal('"' if self.has_header else "")
        source = (
            f"read_csv({pattern(self.path)}, auto_detect = false, "
            f"header = {str(self.has_header).lower()}, delim = {literal(self.separator)}, "
            f"quote = {quote}, escape = {quote}, hive_partitioning = false, "
            f"columns = {{{types}}})"
        )
        trimmed = ", ".join(f"trim({quoted(c)}) AS {quoted(c)}" for c in self.columns)
        return f"SELECT {trimmed if self.padded else '*'} FROM {source}"


def open_text(connection: DuckDBPyConnection, path: Path, kind: str, dialect: Dialect) -> TextFile:
    """A text file with a header.

    Raises:
        DataError: it is damaged, of another encoding, or its header does not name the columns.
    """
    line = _first_line(path, dialect.encoding)
    separator = dialect.separator or _separator(line, SEPARATORS[kind], path)
    columns, padded = _columns(line, separator, path)
    plain, lines = _plain(connection, path, dialect.encoding)
    return TextFile(plain, columns, separator, has_header=True, padded=padded, lines=lines)


def open_bare(
    connection: DuckDBPyConnection, path: Path, columns: list[str], dialect: Dialect
) -> TextFile:
    """A text file without a header and without quotes."""
    plain, lines = _plain(connection, path, dialect.encoding)
    separator = dialect.separator or ","
    return TextFile(plain, columns, separator, has_header=False, padded=False, lines=lines)


def pattern(path: Path) -> str:
    """The path as an SQL string in which nothing is a wildcard."""
    return literal("".join(f"[{letter}]" if letter in "*?[" else letter for letter in str(path)))


@contextmanager
def _errors(path: Path, encoding: str) -> Iterator[None]:
    try:
        yield
    except (UnicodeError, csv.Error) as error:
        raise DataError(
            f"{path} is damaged or no text file in {encoding.upper()}: {error}. Another encoding "
            "is named by --encoding, such as gbk, latin-1 or utf-16."
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _opened(path: Path) -> gzip.GzipFile | io.BufferedReader:
    zipped = path.suffix.lower() == ".gz"
    return gzip.open(path, "rb") if zipped else path.open("rb")


def _first_line(path: Path, encoding: str) -> str:
    """The header, without its line end."""
    with _errors(path, encoding), _opened(path) as file:
        start = file.read(4)
        found = next((name for mark, name in MARKS if start.startswith(mark)), None)
        if found and encoding == "utf-8":
            raise DataError(f"{path} is no text in UTF-8: name its encoding, --encoding {found}.")
        file.seek(0)
        with _text(file, encoding) as text:
            return text.readline(LONGEST_HEADER).rstrip("\n").removeprefix(MARK)


def _separator(line: str, usual: str, path: Path) -> str:
    """The file's own separator, or the only other one that its header holds."""
    found = separators(line, usual)
    if len(found) > 1:
        listed = " and ".join(map(repr, found))
        raise DataError(f"{path}: columns are separated by {listed}? Say which: --separator.")
    return found[0]


def _columns(line: str, separator: str, path: Path) -> tuple[list[str], bool]:
    """The names in the header, and whether blanks stand beside the separators."""
    with _errors(path, "utf-8"):
        if len(separator) == 1:
            named = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
            raw = next(csv.reader([line], delimiter=separator), [])
        else:
            named = raw = line.split(separator)
    columns = [name.strip(" ") for name in named]
    if not columns or len(columns) > MOST_COLUMNS:
        told = (
            f"names {len(columns):,} columns, of {MOST_COLUMNS:,} at most"
            if columns
            else "is empty"
        )
        raise DataError(f"{path}: the first line must name every column; it {told}.")
    lowered = [column.lower() for column in columns]
    twice = sorted({column for column in lowered if lowered.count(column) > 1})
    if "" in columns or twice:
        wrong = "a column has no name" if "" in columns else f"{', '.join(twice)} stand twice"
        raise DataError(f"{path}: the first line must name every column once; {wrong}.")
    return columns, any(name != name.strip(" ") for name in raw)


def _plain(connection: DuckDBPyConnection, path: Path, encoding: str) -> tuple[Path, int]:
    """The file as UTF-8 with one kind of line ends, copied if it is not, and its lines."""
    if encoding == "utf-8":
        ends = _line_ends(path)
        if sum(count > 0 for count in ends.values()) <= 1:
            return path, max(ends.values())
    (place,) = one_row(connection, "SELECT path FROM duckdb_databases() WHERE NOT internal")
    folder = Path(place).parent if place else None  # of an import, removed with it
    with (
        _errors(path, encoding),
        _opened(path) as source,
        tempfile.NamedTemporaryFile(
            "w", encoding="utf-8", newline="\n", dir=folder, suffix=".csv", delete=False
        ) as target,
    ):
        lines, end = 0, ""
        with _text(source, encoding) as text:
            while block := text.read(BLOCK):
                target.write(block if end else block.removeprefix(MARK))
                lines, end = lines + block.count("\n"), block[-1]
    return Path(target.name), lines + (end != "\n")


def _text(file: gzip.GzipFile | io.BufferedReader, encoding: str) -> io.TextIOWrapper:
    """Decoded, with every kind of line end as one."""
    return io.TextIOWrapper(file, "utf-8-sig" if encoding == "utf-8" else encoding, newline=None)


def _line_ends(path: Path) -> dict[str, int]:
    """How many lines end in each way; a last line without an end counts as the others do."""
    both = lone = back = 0
    last = b""
    with _errors(path, "utf-8"), _opened(path) as file:
        while block := file.read(BLOCK):
            back_here, pairs = block.count(b"\r"), block.count(b"\r\n")
            split = last == b"\r" and block[:1] == b"\n"  # a pair over the border of two blocks
            both += pairs + split
            back += back_here - pairs - split
            lone += block.count(b"\n") - pairs - split
            last = block[-1:]
    ends = {"\r\n": both, "\n": lone, "\r": back}
    if last not in (b"\n", b"\r"):
        ends[max(ends, key=lambda end: ends[end])] += 1
    return ends
