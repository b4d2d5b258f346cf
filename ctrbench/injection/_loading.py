"""Loads a mode, or a combination of modes, by name."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any, get_origin

from ctrbench import plugins
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.identity import hash_class, hash_code, hash_json
from ctrbench.injection._base import Injection
from ctrbench.injection._combination import FACTOR, JOINT, Combination
from ctrbench.settings import ModelSettings

PACKAGE = "ctrbench.injection"
BASELINE = "none"
ENOUGH = (1_000_000, 1_024)  # vectors and their width, with which every mode works


def load_mode(name: str, settings: dict[str, Any]) -> Injection:
    """Return a mode with its settings.

    Args:
        name: The name of a mode, or a combination such as `sim_tier+cluster_id`.
        settings: Value by setting; those of a combination are `part.setting`, and
            `learning_rate_factor`.

    Raises:
        UnknownNameError: No mode has this name.
        ConfigError: Lists every setting that is unknown or invalid, and parts that cannot be
            combined.
    """
    names = name.split(JOINT)
    if len(names) == 1:
        return plugins.validated(mode_class(name), settings, f"modes.{name}")
    return _combined(name, names, settings)


def mode_names() -> list[str]:
    """Return the sorted names of all modes that are one file, own and installed."""
    return plugins.names(PACKAGE)


def usable_modes(model: ModelSettings) -> list[str]:
    """Return the modes, but for the baseline, that can be used with the settings of the model.

    Each has its default settings and enough vectors.
    """
    return [
        name
        for name in mode_names()
        if name != BASELINE and not load_mode(name, {}).problems(*ENOUGH, model)
    ]


def mode_class(name: str) -> type[Injection]:
    """Return the class of a mode that is not a combination.

    Raises:
        UnknownNameError: No mode has this name.
    """
    return plugins.load(PACKAGE, name, Injection, "mode")


def code_hash(mode: Injection) -> str:
    """Return a hash of the code of a mode and its base classes, without comments and docstrings.

    The hash of a combination covers all parts.
    """
    parts = mode.parts.values() if isinstance(mode, Combination) else [mode]
    classes = [
        one
        for part in parts
        for one in type(part).__mro__
        if issubclass(one, Injection) and one is not Injection
    ]
    here = [one for one in classes if one in plugins.session(PACKAGE).values()]
    files = dict.fromkeys(inspect.getfile(one) for one in classes if one not in here)
    return hash_json([*map(hash_class, here), *(hash_code(Path(file)) for file in files)])


def takes_list(name: str, setting: str) -> bool:
    """Return whether a setting takes a list, so that a list in the file is not a grid.

    Args:
        name: The name of a mode or a combination.
        setting: The name of the setting, `part.setting` for a combination.
    """
    if JOINT in name:
        name, _, setting = setting.partition(".")
    if name not in mode_names():
        return False
    field = mode_class(name).model_fields.get(setting)
    return field is not None and get_origin(field.annotation) in (tuple, list)


def _combined(name: str, names: list[str], settings: dict[str, Any]) -> Combination:
    try:
        classes = {one: mode_class(one) for one in names}
    except UnknownNameError as error:
        raise ConfigError(f"modes.{name}: {error}") from error
    problems = []
    if len(classes) < len(names):
        problems.append("a mode cannot be combined with itself; name each part once")
    if BASELINE in names:
        problems.append(f"'{BASELINE}' is the baseline and injects nothing; remove it")
    starting = [one for one, found in classes.items() if found.starts_ids]
    if len(starting) > 1:
        problems.append(f"{' and '.join(starting)} both initialise the ids; keep one of them")
    own: dict[str, dict[str, Any]] = {one: {} for one in classes}
    whole = {}
    for key, value in settings.items():
        part, _, setting = key.partition(".")
        if key == FACTOR:
            whole[FACTOR] = value
        elif part in own and setting == FACTOR:
            problems.append(f"{key}: all parts share one factor; write {FACTOR} without '{part}.'")
        elif part in own and setting:
            own[part][setting] = value
        else:
            problems.append(
                f"setting '{key}': write PART.SETTING, where PART is one of {', '.join(own)}"
            )
    if problems:
        raise ConfigError("; ".join(f"modes.{name}: {problem}" for problem in problems))
    parts = {
        one: plugins.validated(found, own[one], f"modes.{name}.{one}", hidden=(FACTOR,))
        for one, found in classes.items()
    }
    return plugins.validated(Combination, {"parts": parts, **whole}, f"modes.{name}")
