"""Find contenders: every public file in a plug-in folder is one.

Another installed package adds a contender by an entry point in the group with the folder's name,
for example `[project.entry-points."ctrbench.injection"]` with
`my_mode = "my_package.my_mode:MyMode"`.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from ctrbench.errors import (
    ConfigError,
    ContractError,
    SettingsError,
    UnknownNameError,
    refusal,
    unknown_name,
)

Base = TypeVar("Base")
_session: dict[str, dict[str, type[Any]]] = {}  # plug-in folder -> contenders of this session
Settings = TypeVar("Settings", bound=BaseModel)


def names(package: str) -> list[str]:
    """Return the sorted names of all contenders of a plug-in folder, without importing them.

    Raises:
        ContractError: An installed package uses the name of a built-in contender.
    """
    own, installed = _own(package), _installed(package)
    here = session(package).keys()
    both = sorted(own & installed.keys())
    if both:
        raise ContractError(
            f"{package}: installed package(s) redefine {', '.join(both)}; rename the entry point."
        )
    return sorted(own | installed.keys() | here)


def load(package: str, name: str, base: type[Base], kind: str = "contender") -> type[Base]:
    """Return the contender's class: the only public subclass of `base` in its file.

    Args:
        package: The plug-in folder as a package, such as `ctrbench.injection`.
        name: The name of the file or the entry point.
        base: The contract.
        kind: The word for such a contender in messages.

    Raises:
        UnknownNameError: No contender has this name.
        ContractError: The file does not define exactly one such class.
    """
    known = names(package)
    if name not in known:
        raise UnknownNameError(kind, name, known)
    if name in session(package):
        return session(package)[name]
    installed = _installed(package)
    if name in installed:
        try:
            found = installed[name].load()
        except (ImportError, AttributeError) as error:
            raise ContractError(
                f"entry point {name} of {package} cannot be loaded: {error}. Reinstall or remove "
                "its package."
            ) from error
        if not (isinstance(found, type) and issubclass(found, base)):
            raise ContractError(
                f"entry point {name} of {package} is {found!r}, not a subclass of {base.__name__}."
            )
        return found
    module = importlib.import_module(f"{package}.{name}")
    classes = [
        value
        for key, value in vars(module).items()
        if isinstance(value, type)
        and issubclass(value, base)
        and value.__module__ == module.__name__
        and not key.startswith("_")
    ]
    if len(classes) != 1:
        raise ContractError(
            f"{module.__name__} must define one public subclass of {base.__name__}; "
            f"it defines {len(classes)}."
        )
    return classes[0]


def register(package: str, name: str, contender: type[Any]) -> None:
    """Add a contender to this session; an earlier one of the session with this name is replaced.

    Args:
        package: The plug-in folder as a package.
        name: The name of the contender.
        contender: Its class.

    Raises:
        ConfigError: A built-in or installed contender has this name.
    """
    if name in _own(package) | _installed(package).keys():
        raise ConfigError(f"{package} has a contender '{name}' already; choose another name.")
    _session.setdefault(package, {})[name] = contender


def session(package: str) -> dict[str, type[Any]]:
    """Return the contenders that this session defines, by name."""
    return _session.get(package, {})


def configured(
    package: str, name: str, base: type[Settings], kind: str, settings: dict[str, Any]
) -> Settings:
    """Return a contender, configured by settings for its fields.

    Args:
        package: The plug-in folder as a package, such as `ctrbench.injection`.
        name: The name of the contender.
        base: The contract.
        kind: The word for such a contender in messages.
        settings: Value by field.

    Raises:
        UnknownNameError: No contender has this name.
        ConfigError: A setting is unknown or out of range.
    """
    return validated(load(package, name, base, kind), settings, name)


def validated(
    model: type[Settings], settings: dict[str, Any], where: str, hidden: tuple[str, ...] = ()
) -> Settings:
    """Return settings as an instance of their class.

    Args:
        model: The class of the settings.
        settings: Value by field.
        where: The key that holds them, for messages.
        hidden: Fields that messages do not suggest.

    Raises:
        SettingsError: Lists every setting that is unknown or out of range.
    """
    try:
        return model.model_validate(settings)
    except ValidationError as error:
        details: list[dict[str, Any]] = [dict(each) for each in error.errors()]
    known = [name for name in model.model_fields if name not in hidden]
    message = "; ".join(_problem(detail, where, known) for detail in details)
    first = details[0]
    setting = "" if first["type"] == "extra_forbidden" else ".".join(map(str, first["loc"]))
    raise SettingsError(message, setting)


def _problem(detail: dict[str, Any], where: str, known: list[str]) -> str:
    place = ".".join(map(str, detail["loc"]))
    if detail["type"] == "extra_forbidden":
        if not known:
            return f"{where} has no settings; remove '{place}'."
        return f"{where}: {unknown_name('setting', place, known)}"
    return f"{where}.{place}: {refusal(detail)}" if place else f"{where}: {refusal(detail)}"


def _own(package: str) -> set[str]:
    path = importlib.import_module(package).__path__
    return {info.name for info in pkgutil.iter_modules(path) if not info.name.startswith("_")}


def _installed(package: str) -> dict[str, EntryPoint]:
    return _entry_points(package, tuple(sys.path))


@cache
def _entry_points(package: str, path: tuple[str, ...]) -> dict[str, EntryPoint]:
    """Return a package's entry points; reading those of all installed packages takes 20 ms."""
    del path  # where they are searched: part of the key
    return {point.name: point for point in entry_points(group=package)}
