"""Options of an import from a YAML file: one of the user, or the one kept with a data set."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

import typer
from pydantic import TypeAdapter, ValidationError

from ctrbench.errors import ConfigError, raise_all, unknown_name
from ctrbench.importing import IMPORT_OPTIONS
from ctrbench.impressions.opening import dataset_folder
from ctrbench.yaml_file import read_yaml

COMMON = {"split": str, "snapshot": str, "snapshot_column": str}


def completed(
    context: typer.Context,
    importer: type[Any],
    given: Mapping[str, Any],
    like: str | None,
    mapping: Path | None,
) -> dict[str, Any]:
    """Return the options of the command line, completed by those of a data set and of a file.

    An option of the command line takes precedence, then one of the file, then one of the data set.

    Args:
        context: The command's context, which knows the options that the user gave.
        importer: The class of the importer, whose fields are options.
        given: The values of all options, with defaults.
        like: The data set whose options are used.
        mapping: The YAML file of options.

    Raises:
        UnknownNameError: The data set does not exist.
        ConfigError: The data set has no stored options, or a file has an unknown option or value.
    """
    sources = []
    if like is not None:
        path = dataset_folder(context.obj, like) / IMPORT_OPTIONS
        if not path.exists():
            raise ConfigError(
                f"data set {like!r} has no stored options: an earlier ctrbench imported it. Give "
                "the options, or --mapping FILE."
            )
        sources.append(path)
    sources += [mapping] if mapping else []
    chosen = dict(given)
    for path in sources:
        read = _read(path, importer)
        chosen |= {name: value for name, value in read.items() if not _typed(context, name)}
    return chosen


def _typed(context: typer.Context, name: str) -> bool:
    """Return whether the command line gives an option."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def to_store(importer: type[Any], chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that the next import can repeat, by their names on the command line.

    Required options, which name the log's files, and defaults are left out.

    Args:
        importer: The class of the importer.
        chosen: The values of all options.
    """
    options = _options(importer)
    defaults = {name: field.default for name, field in importer.__dataclass_fields__.items()}
    stored = {}
    for flag, (name, _) in options.items():
        value, default = chosen[name], defaults.get(name)
        if value is not None and value != default:
            stored[flag] = str(value) if isinstance(value, Path) else value
    return stored


def _required(importer: type[Any], name: str) -> bool:
    field = importer.__dataclass_fields__.get(name)
    return field is not None and field.default is dataclasses.MISSING


def _options(importer: type[Any]) -> dict[str, tuple[str, Any]]:
    """Return the name and the type of each option, by its name on the command line."""
    found: dict[str, tuple[str, Any]] = {}
    hints = get_type_hints(importer, include_extras=True)
    for name in (field.name for field in dataclasses.fields(importer)):
        if _required(importer, name):
            continue
        kind, option = get_args(hints[name])
        flags = [option.default, *(option.param_decls or ())]  # typer stores the first one there
        named = next((flag for flag in flags if isinstance(flag, str)), name.replace("_", "-"))
        found[named.lstrip("-")] = name, kind
    return found | {name.replace("_", "-"): (name, kind) for name, kind in COMMON.items()}


def _read(path: Path, importer: type[Any]) -> dict[str, Any]:
    """Return the options of a file, by the names of fields."""
    values, lines = read_yaml(path, "file of options", "rename, drop and list")
    options = _options(importer)
    problems, found = [], {}
    for key, value in values.items():
        where = f"{path}, line {lines.get((key,), '?')}: {key}"
        if key not in options:
            problems.append(f"{where}: {unknown_name('option', str(key), options)}")
            continue
        name, kind = options[key]
        try:
            found[name] = TypeAdapter(kind).validate_python(_as_on_command_line(value, kind))
        except ValidationError as error:
            problems.append(f"{where}: {error.errors()[0]['msg']}, but it is {value!r}.")
    raise_all(problems, ConfigError, "these options cannot be used:")
    return found


def _as_on_command_line(value: Any, kind: Any) -> Any:
    """Return a value of a YAML file as the command line writes it: `{a: b}` is `a=b`."""
    kinds = {get_origin(one) or one for one in (get_args(kind) or (kind,))}
    if list in kinds or get_origin(kind) is list:
        if isinstance(value, Mapping):
            return [f"{name}={one}" for name, one in value.items()]
        return [str(one) for one in value] if isinstance(value, list) else [str(value)]
    if str in kinds:
        return ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return value


def as_yaml(options: Mapping[str, Any]) -> str:
    """Return options as the text of a YAML file."""
    lines = ["# Options of the import; `ctrbench datasets import IMPORTER --like NAME` repeats it."]
    lines += [f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in options.items()]
    return "\n".join(lines) + "\n"
