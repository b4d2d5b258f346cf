"""What importers of public data sets share: their files and headers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from ctrbench.datasets._layouts import other_header
from ctrbench.datasets._tables import Rule, Table, broken_rules, read_table, refuse_empty
from ctrbench.datasets._text_files import Dialect
from ctrbench.errors import DataError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

ARCHIVES = (".zip", ".rar", ".7z", ".tar", ".gz", ".tgz")


def find_file(folder: Path, name: str) -> Path:
    """Return a file of a data set, in the folder or one level below.

    Args:
        folder: The folder that the user names.
        name: The official name of the file.

    Raises:
        DataError: There is no such file, or several.
    """
    found = find_optional(folder, name)
    if found is None:
        archives = [file.name for file in sorted(folder.iterdir()) if file.suffix in ARCHIVES]
        hint = f" Unpack {', '.join(archives[:3])} first." if archives else ""
        raise DataError(f"{folder} contains no {name}, nor do its sub-folders.{hint}")
    return found


def find_optional(folder: Path, name: str) -> Path | None:
    """Return a file of a data set, in the folder or one level below; None if there is none.

    Args:
        folder: The folder that the user names.
        name: The official name of the file.

    Raises:
        DataError: The folder does not exist, or several sub-folders contain the file.
    """
    if not folder.is_dir():
        hint = " It is a file: unpack it and give the folder." if folder.is_file() else ""
        raise DataError(f"no folder {folder}.{hint}")
    if (folder / name).exists():
        return folder / name
    found = sorted(folder.glob(f"*/{name}"))
    if len(found) > 1:
        raise DataError(
            f"{folder} contains {len(found)} files {name}: {', '.join(map(str, found[:5]))}. Give "
            "the folder of one of them."
        )
    return found[0] if found else None


def open_official(
    connection: DuckDBPyConnection,
    path: Path,
    columns: Iterable[str],
    optional: Iterable[str] = (),
) -> Table:
    """Open a file that must have exactly the official columns, in any order.

    Args:
        connection: The database in which the table is created.
        path: The file; CSV files are separated by commas.
        columns: The official columns.
        optional: Further columns that the file may have.

    Raises:
        DataError: The file is missing, damaged or empty, or its header differs.
    """
    table = refuse_empty(read_table(connection, path, dialect=Dialect(",")))
    require_header(path, table.types, columns, optional)
    return table


def broken_official(connection: DuckDBPyConnection, table: Table, rules: list[Rule]) -> list[str]:
    """Return a problem for each broken rule; advice names no options, which only `table` has.

    Args:
        connection: The database of the table.
        table: The table of an official file.
        rules: The rules to check.
    """
    named = [
        replace(rule, cure="use the official file") if "--" in rule.cure else rule for rule in rules
    ]
    return broken_rules(connection, table, named)


def require_header(
    path: Path, found: Iterable[str], columns: Iterable[str], optional: Iterable[str] = ()
) -> None:
    """Raise an error that prints both headers if a header differs from the official one.

    Args:
        path: The file, for the message.
        found: The columns of the file.
        columns: The official columns.
        optional: Further columns that the file may have.

    Raises:
        DataError: A column is missing, or is not an official one.
    """
    found, columns, optional = list(found), list(columns), list(optional)
    absent = [name for name in columns if name not in found]
    strange = [name for name in found if name not in columns and name not in optional]
    if not absent and not strange:
        return
    wrong = f"lacks {', '.join(absent)}" if absent else f"has also {', '.join(strange)}"
    more = f" (also allowed: {', '.join(optional)})" if optional else ""
    raise other_header(path, wrong, found, f"{', '.join(columns)}{more}")
