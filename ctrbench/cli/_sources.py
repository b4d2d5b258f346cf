"""Parses the options of `embeddings add` that name files and say how to read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ctrbench.embeddings import Source
from ctrbench.errors import ConfigError
from ctrbench.workspace import check_name

Options = Mapping[str, Sequence[str] | None]


def sources_of(
    vectors: Path | None,
    fields: Sequence[str],
    options: Options,
    numeric_ids: bool,
    codes: Sequence[str] = (),
) -> Source | dict[str, Source]:
    """Return the source of `--vectors` or `--codes`, or that of each field by its name.

    Args:
        vectors: The value of `--vectors`.
        fields: The values of `--field`, each `FIELD=FILE`.
        options: The values of the options of a reader, by option.
        numeric_ids: Whether ids that are equal as numbers match.
        codes: The values of `--codes`: one file, or `FIELD=FILE` each.

    Raises:
        ConfigError: None or several of `--vectors`, `--field` and `--codes` are given, a value of
            `--field` has another form or repeats a field, or an option is given twice for one
            field.
    """
    alone = [text for text in codes if not _is_named(text)]
    named = [text for text in codes if _is_named(text)]
    if (vectors is not None) + bool(fields or named) + len(alone) != 1:
        raise ConfigError(
            "give either --vectors FILE, or --codes FILE, or one --field NAME=FILE or --codes "
            "NAME=FILE for each field."
        )
    if alone:
        return replace(_source(Path(alone[0]), "", (), options, numeric_ids), codes=True)
    if vectors is not None:
        return _source(vectors, "", (), options, numeric_ids)
    files: dict[str, tuple[Path, bool]] = {}
    for text, of_codes in (*((t, False) for t in fields), *((t, True) for t in named)):
        name, equals, file = text.partition("=")
        if not (equals and name and file):
            raise ConfigError(f"--field {text!r}: write NAME=FILE, such as text=text.npy.")
        name = check_name("vector field", name)
        if name in files:
            option = "--codes" if of_codes else "--field"
            raise ConfigError(f"{option} {name} is given twice; name each vector field once.")
        files[name] = Path(file), of_codes
    return {
        name: replace(_source(file, name, list(files), options, numeric_ids), codes=of_codes)
        for name, (file, of_codes) in files.items()
    }


def _is_named(codes: str) -> bool:
    """Return whether a value of `--codes` is `FIELD=FILE`, and not a path that contains `=`."""
    name, equals, _ = codes.partition("=")
    return bool(equals) and "/" not in name and not Path(codes).exists()


def _source(
    vectors: Path, field: str, fields: Sequence[str], options: Options, numeric_ids: bool
) -> Source:
    found = {
        option: _value(option, given or (), field, fields) for option, given in options.items()
    }
    ids, scale = found["--ids"], found["--scale"]
    return Source(
        vectors,
        Path(ids) if ids is not None else None,
        found["--vector-column"],
        found["--ids-column"],
        found["--key"],
        found["--value"],
        _number(scale) if scale is not None else None,
        numeric_ids,
    )


def _value(option: str, given: Sequence[str], field: str, fields: Sequence[str]) -> str | None:
    """Return the value of an option for one field: its own value, else the common one."""
    common, own = [], []
    for text in given:
        name, equals, value = text.partition("=")
        if not (equals and name in fields):
            common.append(text)
        elif name == field:
            own.append(value)
    for found, where in ((own, f" for {field}"), (common, "")):
        if len(found) > 1:
            raise ConfigError(f"{option} is given {len(found)} times{where}; give it once.")
    return next(iter([*own, *common]), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise ConfigError(f"--scale {text!r} is not a number.") from error
