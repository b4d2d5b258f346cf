"""Options of an import: those of the caller, of a YAML file, and of the data set to repeat."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Container, Mapping
from functools import cache
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter, ValidationError

from ctrbench import plugins
from ctrbench.datasets import Importer
from ctrbench.errors import ConfigError, raise_all, unknown_name
from ctrbench.importing import IMPORT_OPTIONS, Snapshot, parse_snapshot, parse_split
from ctrbench.impressions.opening import dataset_folder
from ctrbench.schema import Split
from ctrbench.workspace import Workspace
from ctrbench.yaml_file import read_yaml

PACKAGE = "ctrbench.datasets"
DEFAULT_SNAPSHOT = "period"
COMMON = {"split": str, "snapshot": str, "snapshot_column": str}  # options of every importer


@dataclasses.dataclass(frozen=True)
class Import:
    """A checked import: the importer with its options, and what applies to every importer."""

    importer: Importer
    split: Split | None  # None: the default of the importer
    snapshot: Snapshot
    stored: str  # YAML of the options, which `like` repeats


def load_importer(name: str) -> type[Importer]:
    """Return the class of an importer.

    Raises:
        UnknownNameError: No importer has this name.
    """
    return plugins.load(PACKAGE, name, Importer, "importer")


def configured(
    workspace: Workspace,
    name: str,
    options: Mapping[str, Any],
    like: str | None = None,
    mapping: Path | None = None,
    transient: Container[str] = (),
) -> Import:
    """Return an import with its options.

    An option of the caller takes precedence, then one of the file, then one of the data set, then
    the default.

    Args:
        workspace: The workspace with the data set `like`.
        name: The name of the importer.
        options: The values of the options that the caller gives, by the names of fields.
        like: The data set whose options are used.
        mapping: The YAML file of options.
        transient: Options that another import cannot repeat, because they are data in memory.

    Raises:
        UnknownNameError: The importer or the data set does not exist.
        ConfigError: The data set has no stored options, an option is unknown or missing, or a
            value is not valid.
    """
    importer: type[Any] = load_importer(name)
    paths = [] if like is None else [_options_of(workspace, like)]
    paths += [] if mapping is None else [mapping]
    chosen: dict[str, Any] = {}
    for path in paths:
        chosen |= _read(path, importer)
    chosen |= _given(importer, options)
    fields = {field.name: field for field in dataclasses.fields(importer)}
    missing = [one for one in fields if one not in chosen and _required(importer, one)]
    problems = [f"{one}: missing; give it." for one in missing]
    raise_all(problems, ConfigError, f"the importer {name} requires more options:")
    made = importer(**{one: value for one, value in chosen.items() if one in fields})
    split, snapshot = chosen.get("split"), chosen.get("snapshot", DEFAULT_SNAPSHOT)
    return Import(
        made,
        None if split is None else parse_split(split),
        parse_snapshot(snapshot, chosen.get("snapshot_column")),
        as_yaml(_to_store(importer, {k: v for k, v in chosen.items() if k not in transient})),
    )


def as_yaml(options: Mapping[str, Any]) -> str:
    """Return options as the text of a YAML file."""
    lines = ["# Options of the import; `ctrbench datasets import IMPORTER --like NAME` repeats it."]
    lines += [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in options.items()]
    return "\n".join(lines) + "\n"


def _options_of(workspace: Workspace, dataset: str) -> Path:
    path = dataset_folder(workspace, dataset) / IMPORT_OPTIONS
    if not path.exists():
        raise ConfigError(
            f"data set {dataset!r} has no stored options: an earlier ctrbench imported it. Give "
            "the options, or a file of them as mapping (--mapping)."
        )
    return path


def _given(importer: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of the caller: Python values, or texts of the command line."""
    kinds = {name: kind for name, (kind, _) in _fields(importer).items()}
    problems, found = [], {}
    for name, value in options.items():
        if name not in kinds:
            problems.append(unknown_name("option", name, kinds))
            continue
        try:
            found[name] = _validated(value, kinds[name])
        except ValidationError as error:
            problems.append(f"{name}: {error.errors()[0]['msg']}, but it is {value!r}.")
    raise_all(problems, ConfigError, "these options cannot be used:")
    return found


def _to_store(importer: type[Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the next import can repeat, by their names on the command line.

    Required options, which name the log's files, and defaults are left out.
    """
    defaults = {field.name: field.default for field in dataclasses.fields(importer)}
    defaults["snapshot"] = DEFAULT_SNAPSHOT
    stored = {}
    for name, (_, flag) in _fields(importer).items():
        value, default = chosen.get(name), defaults.get(name)
        if value is not None and value != default and not _required(importer, name):
            stored[flag] = str(value) if isinstance(value, Path) else value
    return stored


def _required(importer: type[Any], name: str) -> bool:
    fields = {field.name: field for field in dataclasses.fields(importer)}
    return name in fields and fields[name].default is dataclasses.MISSING


@cache
def _fields(importer: type[Any]) -> dict[str, tuple[Any, str]]:
    """Return the type of each option, and its name on the command line, by field."""
    found: dict[str, tuple[Any, str]] = {}
    hints = get_type_hints(importer, include_extras=True)
    for name in (field.name for field in dataclasses.fields(importer)):
        kind, option = get_args(hints[name])
        flags = [option.default, *(option.param_decls or ())]  # typer stores the first one there
        named = next((flag for flag in flags if isinstance(flag, str)), name.replace("_", "-"))
        found[name] = kind, named.lstrip("-")
    return found | {name: (kind, name.replace("_", "-")) for name, kind in COMMON.items()}


def _read(path: Path, importer: type[Any]) -> dict[str, Any]:
    """Return the options of a file, by the names of fields."""
    values, lines = read_yaml(path, "file of options", "rename, drop and list")
    options = {
        flag: (name, kind)
        for name, (kind, flag) in _fields(importer).items()
        if not _required(importer, name)
    }
    problems, found = [], {}
    for key, value in values.items():
        where = f"{path}, line {lines.get((key,), '?')}: {key}"
        if key not in options:
            problems.append(f"{where}: {unknown_name('option', str(key), options)}")
            continue
        name, kind = options[key]
        try:
            found[name] = _validated(value, kind)
        except ValidationError as error:
            problems.append(f"{where}: {error.errors()[0]['msg']}, but it is {value!r}.")
    raise_all(problems, ConfigError, "these options cannot be used:")
    return found


def _validated(value: Any, kind: Any) -> Any:
    return TypeAdapter(kind).validate_python(_as_on_command_line(value, kind))


def _as_on_command_line(value: Any, kind: Any) -> Any:
    """Return a value as the command line writes it: `{a: b}` is `a=b`."""
    if value is None:
        return None
    kinds = {get_origin(one) or one for one in (get_args(kind) or (kind,))}
    if list in kinds or get_origin(kind) is list:
        if isinstance(value, Mapping):
            return [f"{name}={one}" for name, one in value.items()]
        return [str(one) for one in value] if isinstance(value, list | tuple) else [str(value)]
    if str in kinds:
        return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
    return value
