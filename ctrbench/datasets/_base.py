"""The contract of a data-set importer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ctrbench.importing import Progress, Raw, SourceFile
from ctrbench.schema import Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Importer(ABC):
    """Reads one public format into the relations that `Raw` describes.

    A subclass is a frozen dataclass. Its fields, each `Annotated[..., typer.Option(help=...)]`, are
    the options of `ctrbench datasets import <file name>`, and the first line of its docstring is
    the help text. Every importer also has `--name` and `--split`.
    """

    default_name: ClassVar[str | None] = None  # name of the data set; None: --name is required

    @abstractmethod
    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Return the relations of the raw rows and what they mean.

        Args:
            connection: An empty temporary database.
            split: The requested split; None selects the format's default.
            progress: Receives a short description of each step when it begins.

        Raises:
            ConfigError: The options contradict each other.
            DataError: A file is missing, damaged, or has invalid content.
        """

    def sources(self, connection: DuckDBPyConnection) -> tuple[SourceFile, ...]:
        """Return the files as found, for a dry run in which `read` fails.

        Args:
            connection: An empty temporary database.

        Raises:
            ConfigError: The options contradict each other.
            DataError: A file is missing or damaged.
        """
        del connection
        return ()
