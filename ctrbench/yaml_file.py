"""Read YAML strictly: a duplicate key is an error, 1e-3 is a number, and errors name the line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrbench.errors import ConfigError

MOST_BYTES = 256 * 1024  # of a file
MOST_VALUES = 10_000  # keys, values and list entries of a file, with aliases expanded
DEEPEST = 20  # nested lists and mappings

Lines = dict[tuple[Any, ...], int]  # path of a key -> line


def read_yaml(path: Path, kind: str, keys: str) -> tuple[dict[str, Any], Lines]:
    """Return the file's value and the line of every key and list entry.

    Args:
        path: The file.
        kind: The word for such a file in messages.
        keys: Examples of its keys, for messages.

    Raises:
        ConfigError: The file does not exist, is not YAML, has a duplicate key or no keys, or
            exceeds the size limits of this module.
    """
    text = _text(path, kind)
    with _mistakes(str(path), ", line "):
        value = _plain(text)
        tree = _yaml("rt").load(text)
        lines = _lines(tree)
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must contain keys such as {keys}.")
    return value, lines


def read_value(text: str, where: str) -> Any:
    """Return a value of the command line, parsed as in a file.

    Args:
        text: The value as YAML.
        where: The option, for messages.

    Raises:
        ConfigError: The text is not YAML, or exceeds the size limits of this module.
    """
    with _mistakes(where, ", its line "):
        return _plain(text)


def read_settings(texts: Iterable[str], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings by name, with values read as YAML.

    Args:
        texts: `SETTING=VALUE`, as options `--set` have them.
        given: Settings of other options.

    Raises:
        ConfigError: A text is not `SETTING=VALUE`, or a setting is set twice.
    """
    settings = dict(given)
    for text in texts:
        name, sign, value = text.partition("=")
        if not (name and sign):
            raise ConfigError(f"--set {text!r}: write SETTING=VALUE, for example --set width=64.")
        if name in settings:
            raise ConfigError(f"{name} is set twice; set it once.")
        settings[name] = read_value(value, f"--set {text}")
    return settings


def _text(path: Path, kind: str) -> str:
    """Return the file's text if it does not exceed the size limit."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder. Give the path of a YAML file.")
        if not path.is_file():
            raise ConfigError(f"no {kind} {path}. Give the path of a YAML file.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(
                f"{path} is larger than {MOST_BYTES // 1024} KiB, the limit of a {kind}. Shorten "
                "its lists, or split it into several files."
            )
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not a YAML text file in UTF-8: {error}.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error


def _yaml(kind: str) -> Any:
    from ruamel.yaml import YAML

    return YAML(typ=kind, pure=True)


def _plain(text: str) -> Any:
    """Return the value as plain Python, after checking its size."""
    _check_size(_yaml("safe").parse(text))
    return _yaml("safe").load(text)


class _TooLargeError(Exception):
    """A part of the text exceeds a limit or is not supported."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.line, self.problem = line, problem


def _check_size(events: Iterator[Any]) -> None:
    """Count values during parsing, before they are constructed.

    An alias counts as all values of its anchor, so that nested aliases are never expanded.

    Raises:
        _TooLargeError: The text has too many values, too many levels, a recursive alias, an
            anchor that occurs twice, or a tag.
    """
    from ruamel.yaml import events as kinds

    total, sizes = 0, dict[str, int]()  # sizes: number of values by anchor
    open_ones: list[tuple[str | None, int]] = []  # anchor, values before it
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, kinds.CollectionEndEvent):
            anchor, before = open_ones.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, kinds.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_ones):
                raise _TooLargeError(line, f"the alias *{event.anchor} is recursive; remove it")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, kinds.NodeEvent):
            if event.tag is not None:  # pyright: ignore[reportAttributeAccessIssue]
                raise _TooLargeError(line, f"the tag {event.tag} is not supported; remove it")  # pyright: ignore
            if event.anchor in {*sizes, *(anchor for anchor, _ in open_ones if anchor)}:
                raise _TooLargeError(line, f"the anchor &{event.anchor} exists; rename one")
            if isinstance(event, kinds.CollectionStartEvent):
                open_ones.append((event.anchor, total))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
            total += 1
        if total > MOST_VALUES:
            raise _TooLargeError(
                line,
                f"more than {MOST_VALUES:,} values, with aliases expanded; shorten the lists, or "
                "split the file",
            )
        if len(open_ones) > DEEPEST:
            raise _TooLargeError(line, f"more than {DEEPEST} nested lists or mappings; remove some")


@contextmanager
def _mistakes(where: str, line: str) -> Iterator[None]:
    """Turn errors of the parser into messages with their place."""
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def place(error: Any) -> str:
        return f"{where}{line}{error.problem_mark.line + 1}" if error.problem_mark else where

    try:
        yield
    except _TooLargeError as error:
        raise ConfigError(f"{where}{line}{error.line}: {error.problem}.") from error
    except DuplicateKeyError as error:
        what = str(error.problem).split(" with value")[0]
        raise ConfigError(f"{place(error)}: {what}; keep one of the two.") from error
    except MarkedYAMLError as error:
        raise ConfigError(f"{place(error)}: not YAML: {error.problem}.") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: for example 2024-13-45
        reason = " ".join(str(error).split())
        raise ConfigError(f"{where} cannot be read as YAML: {reason}.") from error


def _lines(node: Any, where: tuple[Any, ...] = ()) -> Lines:
    if not isinstance(node, dict | list):
        return {}
    found: Lines = {}
    positions: dict[Any, Any] = getattr(node, "lc").data or {}  # noqa: B009
    for key, child in node.items() if isinstance(node, dict) else enumerate(node):
        if key in positions:
            found[*where, key] = positions[key][0] + 1
        found |= _lines(child, (*where, key))
    return found
