"""Data sets: `ctrbench.datasets.import_table(...)` and the other functions of `datasets`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench import embeddings, importing, impressions
from ctrbench.api.embeddings import add_source
from ctrbench.api.importing import Import, configured
from ctrbench.api.inputs import Frame, Home, Location, Memory, is_location, opened
from ctrbench.atomic import discard
from ctrbench.display import Listing
from ctrbench.embeddings.outcomes import AddedVersion, ImportedLog
from ctrbench.errors import ConfigError, DataError, StoreError
from ctrbench.exporting import export as write_export
from ctrbench.importing import Preview, SourceFile
from ctrbench.impressions import Described
from ctrbench.schema import DatasetManifest, GivenVersion, Guard, Impressions
from ctrbench.workspace import Workspace, check_name

if TYPE_CHECKING:
    from ctrbench.exporting.writing import Exported

HISTORY_LENGTH = 50  # latest clicks of an exported history
FORMAT = "parquet"  # of an export


def import_table(
    impressions: Frame | Location | Sequence[Location] | Mapping[str, Frame | Location],
    *,
    name: str,
    items: Frame | Location | None = None,
    users: Frame | Location | None = None,
    images: Location | None = None,
    rename: Mapping[str, str] | None = None,
    drop: Sequence[str] | None = None,
    numeric: Sequence[str] | None = None,
    categorical: Sequence[str] | None = None,
    lists: Mapping[str, str] | None = None,
    text: Sequence[str] | None = None,
    user_fields: Sequence[str] | None = None,
    pad: str | None = None,
    label: str | None = None,
    labels: Sequence[str] | None = None,
    valid_share: float | None = None,
    negatives: int | None = None,
    negatives_by: str | None = None,
    seed: int | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    time_format: str | None = None,
    drop_invalid: str | None = None,
    split: str | None = None,
    snapshot: str | None = None,
    snapshot_column: str | None = None,
    like: str | None = None,
    mapping: Location | None = None,
    progress: bool = True,
    workspace: Home = ".",
) -> ImportedLog:
    """Import any click log with the columns user_id, item_id, click, and further fields.

    An option that is None takes its value from `mapping`, `like` or the importer's default.
    `ctrbench datasets import table --help` describes the options.

    Args:
        impressions: A file, folder or pattern, several of them, or a `Frame`: a DataFrame of pandas
            or polars, a table of pyarrow, or a dict of columns. Or one of these by period.
        name: The name of the data set.
        items: Fields of items by item_id.
        users: Fields of users by user_id.
        images: A folder of `<item_id>.jpg`, or a Parquet file of item_id and bytes.
        rename: New name of a column, by its name in the files.
        drop: Columns to exclude.
        numeric: Columns to read as numbers.
        categorical: Columns to read as categories.
        lists: The separator of a text column that holds lists, by column.
        text: Columns of items to keep as text.
        user_fields: Columns of the impressions that describe the user.
        pad: Padding value of histories and lists.
        label: Description of a click, for tables.
        labels: Columns of further labels, 0 or 1.
        valid_share: Share of a given train period to use as valid.
        negatives: Number of non-clicks to sample per click.
        negatives_by: `popularity` or `uniform`.
        seed: Seed for sampling non-clicks.
        separator: Column separator of text files.
        encoding: Encoding of text files.
        time_format: Format of text timestamps.
        drop_invalid: Share of the impressions that may be invalid, such as `0.1%`.
        split: `time:20/50/10/20`, `per_user:20/50/10/20` or `given`.
        snapshot: `period`, `day`, `session` or `impression`.
        snapshot_column: Column that names the session or the day.
        like: A data set whose import options are used.
        mapping: A YAML file of options.
        progress: Whether to show the current step on stderr.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: Options contradict each other, or name no column.
        DataError: The log has invalid content, or the name exists with other content.
        StoreError: The workspace cannot be written.

    >>> import ctrbench, tempfile
    >>> from itertools import product
    >>> rows = [(u, i, (u + i) % 2, 100 * u + i) for u, i in product(range(8), range(9))]
    >>> columns = dict(zip(("user_id", "item_id", "click", "timestamp"), zip(*rows)))
    >>> with tempfile.TemporaryDirectory() as home:
    ...     made = ctrbench.datasets.import_table(
    ...         columns, name="shop", progress=False, workspace=home
    ...     )
    >>> made.described.manifest.counts["impressions"], made.new
    (72, True)
    """
    with Memory() as memory:
        options = {
            "impressions": memory.log(impressions),
            "items": None if items is None else memory.table(items, "items"),
            "users": None if users is None else memory.table(users, "users"),
            "images": images,
            "rename": rename,
            "drop": drop,
            "numeric": numeric,
            "categorical": categorical,
            "lists": lists,
            "text": text,
            "user_fields": user_fields,
            "pad": pad,
            "label": label,
            "labels": labels,
            "valid_share": valid_share,
            "negatives": negatives,
            "negatives_by": negatives_by,
            "seed": seed,
            "separator": separator,
            "encoding": encoding,
            "time_format": time_format,
            "drop_invalid": drop_invalid,
            "split": split,
            "snapshot": snapshot,
            "snapshot_column": snapshot_column,
        }
        given = {option: value for option, value in options.items() if value is not None}
        home = opened(workspace)
        file = None if mapping is None else Path(mapping)
        in_memory = [
            option
            for option, value in (("items", items), ("users", users))
            if not is_location(value)
        ]
        made = configured(home, "table", given, like, file, in_memory)
        return _build(home, made, name, progress, memory)


def import_log(
    importer: str,
    options: Mapping[str, Any],
    *,
    name: str | None = None,
    like: str | None = None,
    mapping: Location | None = None,
    progress: bool = True,
    workspace: Home = ".",
) -> ImportedLog:
    """Import a log in one of the formats that `ctrbench list` names, such as `movielens`.

    Args:
        importer: The name of the format.
        options: Its options, and `split`, `snapshot` and `snapshot_column`, by the names in
            `ctrbench datasets import IMPORTER --help` with `_` for `-`.
        name: The name of the data set; None: that of the format, if it has one.
        like: A data set whose import options are used; `options` take precedence.
        mapping: A YAML file of options; `options` take precedence.
        progress: Whether to show the current step on stderr.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: No such importer.
        ConfigError: An option is unknown, missing or invalid, or no name is given.
        DataError: A file is missing, damaged, or has invalid content.
        StoreError: The workspace cannot be written.
    """
    home = opened(workspace)
    made = configured(home, importer, options, like, None if mapping is None else Path(mapping))
    return _build(home, made, name, progress, None)


def preview(
    importer: str,
    options: Mapping[str, Any],
    *,
    like: str | None = None,
    mapping: Location | None = None,
    progress: bool = True,
    workspace: Home = ".",
) -> Preview:
    """Return how an importer reads a log; imports nothing.

    Args:
        importer: The name of the format.
        options: As for `import_log`.
        like: A data set whose import options are used.
        mapping: A YAML file of options.
        progress: Whether to show the current step on stderr.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: No such importer.
        ConfigError: An option is unknown, missing or invalid.
        DataError: A file is missing, damaged, or has invalid content.
    """
    home = opened(workspace)
    made = configured(home, importer, options, like, None if mapping is None else Path(mapping))
    with importing.database(home) as connection, _status(progress) as status:
        raw = made.importer.read(connection, made.split, status.update)
        importing.check_log(replace(raw, snapshot=made.snapshot))
        return importing.preview(raw)


def files(
    importer: str,
    options: Mapping[str, Any],
    *,
    like: str | None = None,
    mapping: Location | None = None,
    workspace: Home = ".",
) -> tuple[SourceFile, ...]:
    """Return the files of a log with their columns, which an importer may fail to read.

    Args:
        importer: The name of the format.
        options: As for `import_log`.
        like: A data set whose import options are used.
        mapping: A YAML file of options.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: No such importer.
        ConfigError: An option is unknown, missing or invalid.
        DataError: A file is missing or damaged.
    """
    home = opened(workspace)
    made = configured(home, importer, options, like, None if mapping is None else Path(mapping))
    with importing.database(home) as connection:
        return made.importer.sources(connection)


def list(workspace: Home = ".") -> Listing[DatasetManifest]:
    """Return the manifests of all data sets, as `ctrbench datasets list` shows them."""
    home = opened(workspace)
    found = (impressions.read_manifest(home, name) for name in impressions.names(home))
    return Listing(found, "datasets.show_list")


def describe(name: str, *, workspace: Home = ".") -> Described:
    """Return the periods, users, histories, fields, label and split of a data set.

    Args:
        name: The name of the data set.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist.
    """
    return impressions.describe(open(name, workspace=workspace))


def check(name: str, *, workspace: Home = ".") -> Listing[Guard]:
    """Return each guard of a data set and its outcome: ok, warning or error.

    Args:
        name: The name of the data set.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist.
    """
    return Listing(impressions.check(opened(workspace), name), "guards.show")


def export(
    name: str,
    output: Location,
    *,
    format: str = FORMAT,
    history_length: int = HISTORY_LENGTH,
    label: str | None = None,
    workspace: Home = ".",
) -> Exported:
    """Write train, valid and test with histories and user states, for other libraries.

    Args:
        name: The name of the data set.
        output: The folder to create.
        format: `parquet`, `fuxictr` or `recbole`.
        history_length: Number of latest clicks in a history, at least 1.
        label: A further label as the outcome; None: the click.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: The folder exists.
        DataError: A value contains the separator of the format.
        StoreError: The folder cannot be written.
        UnknownNameError: There is no such data set, label or format.
    """
    return write_export(opened(workspace), name, format, Path(output), history_length, label)


def remove(name: str, *, with_embeddings: bool = False, workspace: Home = ".") -> int:
    """Remove a data set, and return the number of its versions that were removed.

    Stored results stay.

    Args:
        name: The name of the data set.
        with_embeddings: Whether to remove its embedding versions as well.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist.
        ConfigError: It has versions, and `with_embeddings` is False.
        StoreError: The workspace cannot be written.
    """
    home = opened(workspace)
    versions = removable(home, name, with_embeddings)
    if versions:
        discard(home.embeddings / name)
    impressions.remove(home, name)
    return len(versions)


def removable(workspace: Home, name: str, with_embeddings: bool) -> Sequence[str]:
    """Return the versions that would be removed with a data set.

    Args:
        workspace: The workspace, or its folder.
        name: The name of the data set.
        with_embeddings: Whether to remove its embedding versions as well.

    Raises:
        UnknownNameError: The data set does not exist.
        ConfigError: It has versions, and `with_embeddings` is False.
    """
    home = opened(workspace)
    if name not in impressions.names(home):
        impressions.read_manifest(home, name)  # raises the error
    versions = embeddings.names(home, name)
    if versions and not with_embeddings:
        raise ConfigError(
            f"data set {name!r} has embedding versions ({', '.join(versions)}); remove them first, "
            "or set with_embeddings (--with-embeddings), which removes them as well."
        )
    return versions


def open(name: str, *, label: str | None = None, workspace: Home = ".") -> Impressions:
    """Return the impressions of a data set as memory maps.

    Args:
        name: The name of the data set.
        label: A further label as the outcome; None: the click.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist, or does not have the label.
    """
    return impressions.open_impressions(opened(workspace), name, label)


def _build(
    workspace: Workspace, made: Import, name: str | None, progress: bool, memory: Memory | None
) -> ImportedLog:
    """Import a data set and its versions, whose files may exist only during the import."""
    name = made.importer.default_name if name is None else name
    if name is None:
        raise ConfigError("the data set requires a name; give it as name (--name).")
    name = check_name("data set", name)
    new = name not in impressions.names(workspace)
    with importing.database(workspace) as connection:
        with _status(progress) as status:
            raw = made.importer.read(connection, made.split, status.update)
            raw = replace(raw, snapshot=made.snapshot, options=made.stored)
            if memory is not None:
                raw = replace(raw, notes=tuple(map(memory.named, raw.notes)))
            importing.build(workspace, name, raw, status.update)
        versions = tuple(_add_given(workspace, name, one) for one in raw.versions)
    found = impressions.describe(impressions.open_impressions(workspace, name))
    return ImportedLog(found, new, versions)


def _add_given(workspace: Workspace, name: str, given: GivenVersion) -> AddedVersion:
    """Add a version that comes with an imported data set.

    Raises:
        CtrBenchError: See `add_source`; the message about a version that does not exist yet
            also states how to add it.
    """
    try:
        return add_source(workspace, name, given.name, given.source, None, True, given.notes)
    except (ConfigError, DataError, StoreError) as error:
        if given.name in embeddings.names(workspace, name):
            raise
        cause = str(error)
        if given.origin is not None:  # the copy exists only during the import
            cause = cause.replace(str(given.source.vectors), str(given.origin))
        raise type(error)(
            f"{cause}\nThe data set {name!r} is imported, but its version {given.name!r} is not "
            "added. Repeat the import, which adds it and leaves the data set unchanged."
        ) from error


def _status(progress: bool) -> Any:
    from ctrbench.terminal.output import animates, console

    shown = console(err=True, quiet=not progress)
    return (shown if animates(shown) else console(err=True, quiet=True)).status("opening")
