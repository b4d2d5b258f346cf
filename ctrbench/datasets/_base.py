"""Importer: the contract of a data-set format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

from ctrbench.impressions import Progress, Raw
from ctrbench.schema import Split

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection


class Importer(ABC):
    """One public format, read into the views that `Raw` describes.

    A subclass is a frozen dataclass: its fields, each `Annotated[..., typer.Option(help=...)]`, are
    the options of `ctrbench datasets import <file name>`, and the first line of its docstring is
    the help. `--name` and `--split` are added for all.
    """

    default_name: ClassVar[str | None] = None  # of the data set; None: --name must be given

    @abstractmethod
    def read(self, connection: DuckDBPyConnection, split: Split | None, progress: Progress) -> Raw:
        """Make the views and say what they mean.

        Args:
            connection: an empty database that is thrown away afterwards.
            split: as asked for; None: the format's own default.
            progress: called with a word or two when a step begins.

        Raises:
            ConfigError: options that do not go together.
            DataError: a file is missing, damaged, or does not hold what it should.
        """
