"""Prepare CSV and TSV files for DuckDB: separator, header, encoding, compression and line ends."""

from __future__ import annotations

import bz2
import codecs
import csv
import glob
import gzip
import io
import tempfile
import zlib
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import IO, TYPE_CHECKING, Any, cast

from ctrbench.errors import ConfigError, DataError, shortened
from ctrbench.importing.relations import literal, one_row, quoted
from ctrbench.separators import separators

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

SEPARATORS = {".csv": ",", ".tsv": "\t"}
COMPRESSIONS = (".gz", ".zst", ".bz2")
UNPACKED = (".zst", ".bz2")  # DuckDB reads a copy
BLOCK = 1 << 24
LONGEST_HEADER = 1 << 20
INDEXES = "__index_level_"  # prefix of pandas' names of indexes without a name
INDEX = f"{INDEXES}0__"  # its name in a text file is empty
MOST_COLUMNS = 4096
MARKS = (  # byte order marks, longer ones first
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
MARK = "\ufeff"  # byte order mark of a decoded file


@dataclass(frozen=True)
class Dialect:
    """The user's options for text files."""

    separator: str | None = None  # None: determined by extension and header
    encoding: str = "utf-8"

    @classmethod
    def of(cls, separator: str | None, encoding: str) -> Dialect:
        """Return the dialect for options of the command line.

        Args:
            separator: The separator; a backslash and t is a tab.
            encoding: Any Python name of an encoding.

        Raises:
            ConfigError: The encoding is unknown, or the separator is too long or empty.
        """
        found = cls(None if separator is None else separator.replace("\\t", "\t"), encoding)
        found.check()
        return replace(found, encoding=codecs.lookup(encoding).name)

    def check(self) -> None:
        """Check the encoding and the separator.

        Raises:
            ConfigError: The encoding is unknown, or the separator is too long or empty.
        """
        try:
            "".encode(self.encoding)
        except LookupError as error:
            raise ConfigError(
                f"--encoding: no encoding {self.encoding!r}. Examples: utf-8, gbk, latin-1, utf-16."
            ) from error
        if self.separator is not None and not 1 <= len(self.separator.encode()) <= 4:
            raise ConfigError(
                f"--separator {self.separator!r}: give one to four bytes, such as ';' or '\\t'."
            )


@dataclass(frozen=True)
class TextFile:
    """A text file that DuckDB can read."""

    path: Path  # the file itself, or a UTF-8 copy with uniform line ends
    columns: list[str]
    separator: str
    has_header: bool
    padded: bool  # separators are surrounded by blanks
    lines: int

    def select(self, keep: Container[str] | None = None) -> str:
        """Return SQL that reads columns as VARCHAR, without type detection.

        Args:
            keep: The columns to read; None, or if the file has none of them: all.
        """
        types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in self.columns)
        quote = literal('"' if self.has_header else "")
        source = (
            f"read_csv({pattern(self.path)}, auto_detect = false, "
            f"header = {str(self.has_header).lower()}, delim = {literal(self.separator)}, "
            f"quote = {quote}, escape = {quote}, hive_partitioning = false, "
            f"columns = {{{types}}})"
        )
        kept = [c for c in self.columns if keep is None or c in keep] or self.columns
        chosen = [f"trim({quoted(c)}) AS {quoted(c)}" if self.padded else quoted(c) for c in kept]
        return f"SELECT {', '.join(chosen)} FROM {source}"


def open_text(connection: DuckDBPyConnection, path: Path, kind: str, dialect: Dialect) -> TextFile:
    """Open a text file with a header.

    Args:
        connection: The database that reads the file.
        path: The file.
        kind: Its extension, a key of `SEPARATORS`.
        dialect: Separator and encoding.

    Raises:
        DataError: The file is damaged or has another encoding, or its header does not name the
            columns.
    """
    line = _first_line(path, dialect.encoding)
    separator = dialect.separator or _separator(line, SEPARATORS[kind], path)
    columns, padded = _columns(line, separator, path)
    plain, lines = plain_file(connection, path, dialect.encoding)
    return TextFile(plain, columns, separator, has_header=True, padded=padded, lines=lines)


def read_header(path: Path, dialect: Dialect) -> list[str]:
    """Return the column names of a CSV file, without reading its rows.

    Args:
        path: The file.
        dialect: Separator and encoding.

    Raises:
        DataError: The file is damaged, or its first line does not name the columns.
    """
    line = _first_line(path, dialect.encoding)
    separator = dialect.separator or _separator(line, SEPARATORS[".csv"], path)
    return _columns(line, separator, path)[0]


def open_bare(
    connection: DuckDBPyConnection, path: Path, columns: list[str], dialect: Dialect
) -> TextFile:
    """Open a text file without a header and without quotes.

    Args:
        connection: The database that reads the file.
        path: The file.
        columns: The column names.
        dialect: Separator and encoding.

    Raises:
        DataError: The file is damaged or has another encoding.
    """
    plain, lines = plain_file(connection, path, dialect.encoding)
    separator = dialect.separator or ","
    return TextFile(plain, columns, separator, has_header=False, padded=False, lines=lines)


def kind_of(path: PurePath) -> str:
    """Return the lower-case extension of a file, without that of its compression.

    >>> kind_of(PurePath("part-0.CSV.gz")), kind_of(PurePath("log"))
    ('.csv', '')
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSIONS:
        suffixes.pop()
    return suffixes[-1] if suffixes else ""


def pattern(path: Path) -> str:
    """Return the path as an SQL string in which wildcards are escaped."""
    return literal(glob.escape(str(path)))


@contextmanager
def _errors(path: Path, encoding: str) -> Iterator[None]:
    try:
        yield
    except (UnicodeError, csv.Error) as error:
        raise DataError(
            f"{path} is damaged or not a text file in {encoding.upper()}: {error}. For another "
            "encoding give --encoding, such as gbk, latin-1 or utf-16."
        ) from error
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def _opened(path: Path) -> IO[bytes]:
    """Open a file for reading its decompressed content."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if suffix == ".bz2":
        return cast(IO[bytes], bz2.open(path, "rb"))
    if suffix == ".zst":
        import pyarrow as pa

        return pa.input_stream(str(path), compression="zstd")
    return path.open("rb")


def _first_line(path: Path, encoding: str) -> str:
    """Return the header without its line end."""
    with _errors(path, encoding):
        with _opened(path) as file:
            start = file.read(4)
        found = next((name for mark, name in MARKS if start.startswith(mark)), None)
        if found and encoding == "utf-8":
            raise DataError(f"{path} is not text in UTF-8. Give --encoding {found}.")
        with _opened(path) as file, _text(file, encoding) as text:
            return text.readline(LONGEST_HEADER).rstrip("\n").removeprefix(MARK)


def _separator(line: str, usual: str, path: Path) -> str:
    """Return the extension's usual separator, or the only other one that the header contains."""
    found = separators(line, usual)
    if len(found) > 1:
        listed = " and ".join(map(repr, found))
        raise DataError(
            f"{path}: the header contains {listed}, which may separate columns. Choose one with "
            "--separator."
        )
    return found[0]


def _columns(line: str, separator: str, path: Path) -> tuple[list[str], bool]:
    """Return the names in the header, and whether separators are surrounded by blanks."""
    with _errors(path, "utf-8"):
        if len(separator) == 1:
            named = next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
            raw = next(csv.reader([line], delimiter=separator), [])
        else:
            named = raw = line.split(separator)
    columns = [name.strip(" ") for name in named]
    if not columns or len(columns) > MOST_COLUMNS:
        found = f"names {len(columns):,} of at most {MOST_COLUMNS:,}" if columns else "is empty"
        raise DataError(f"{path}: the first line must name every column, but it {found}.")
    if len(columns) > 1:
        columns[0] = columns[0] or INDEX
    lowered = [column.lower() for column in columns]
    twice = sorted({column for column in lowered if lowered.count(column) > 1})
    if "" in columns or twice:
        wrong = "a name is empty" if "" in columns else f"{', '.join(twice)} occurs twice"
        raise DataError(
            f"{path}: the first line must name every column once, but {wrong}: {shortened(line)}. "
            "If the file has no header, write it again with one."
        )
    return columns, any(name != name.strip(" ") for name in raw)


def temporary_folder(connection: DuckDBPyConnection) -> Path | None:
    """Return the folder of an import, which is removed after it; None if there is none."""
    (place,) = one_row(connection, "SELECT path FROM duckdb_databases() WHERE NOT internal")
    return Path(place).parent if place else None


def plain_file(connection: DuckDBPyConnection, path: Path, encoding: str) -> tuple[Path, int]:
    """Return the path of the file, or of a UTF-8 copy with uniform line ends, and its lines.

    Args:
        connection: The database of the import, beside which the copy is written.
        path: The file, which may be compressed.
        encoding: Its encoding.

    Raises:
        DataError: The file is damaged or has another encoding.
    """
    if encoding == "utf-8" and path.suffix.lower() not in UNPACKED:
        ends = _line_ends(path)
        if sum(count > 0 for count in ends.values()) <= 1:
            return path, max(ends.values())
    folder = temporary_folder(connection)
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


def _text(file: Any, encoding: str) -> io.TextIOWrapper:
    """Return the decoded file, with every line end as a newline."""
    return io.TextIOWrapper(file, "utf-8-sig" if encoding == "utf-8" else encoding, newline=None)


def _line_ends(path: Path) -> dict[str, int]:
    """Return the number of lines by line end; a last line without one counts as the others."""
    both = lone = back = 0
    last = b""
    with _errors(path, "utf-8"), _opened(path) as file:
        while block := file.read(BLOCK):
            back_here, pairs = block.count(b"\r"), block.count(b"\r\n")
            split = last == b"\r" and block[:1] == b"\n"  # a pair that two blocks share
            both += pairs + split
            back += back_here - pairs - split
            lone += block.count(b"\n") - pairs - split
            last = block[-1:]
    ends = {"\r\n": both, "\n": lone, "\r": back}
    if last not in (b"\n", b"\r"):
        ends[max(ends, key=lambda end: ends[end])] += 1
    return ends
