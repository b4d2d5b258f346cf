"""Read YAML strictly: a key twice is an error, 1e-3 is a number, and every mistake has a line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ctrbench.errors import ConfigError

MOST_BYTES = 256 * 1024  # of a file
MOST_VALUES = 10_000  # keys, values and list entries of a file, its aliases written out
DEEPEST = 20  # lists and mappings within each other

Lines = dict[tuple[Any, ...], int]  # where a key stands -> line


def read_yaml(path: Path, kind: str, keys: str) -> tuple[dict[str, Any], Lines]:
    """The file's plain value, and the line of every key and list entry.

    Args:
        path: the file.
        kind: what people call it.
        keys: that it holds, in words.

    Raises:
        ConfigError: no such file, not YAML, a key twice, larger than a settings file can be, or no
            keys at all.
    """
    text = _text(path, kind)
    with _mistakes(str(path), ", line "):
        value = _plain(text)
        tree = _yaml("rt").load(text)
        lines = _lines(tree)
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold keys such as {keys}.")
    return value, lines


def read_value(text: str, where: str) -> Any:
    """One value of the command line, read as in a file.

    Raises:
        ConfigError: it is not YAML, or larger than a settings file can be.
    """
    with _mistakes(where, ", its line "):
        return _plain(text)


def _text(path: Path, kind: str) -> str:
    """What the file holds, which is no more than a settings file can hold."""
    try:
        if path.is_dir():
            raise ConfigError(f"{path} is a folder; give the path of a YAML file.")
        if not path.is_file():
            raise ConfigError(f"no {kind} {path}; give the path of a YAML file.")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ConfigError(
                f"{path} is larger than {MOST_BYTES // 1024} KiB, the most that a {kind} may be: "
                "shorten its lists, or make several files of it."
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
    """The value as plain Python, once its size is known."""
    _check_size(_yaml("safe").parse(text))
    return _yaml("safe").load(text)


class _TooLargeError(Exception):
    """What is too large or not read, and the line at which that was seen."""

    def __init__(self, line: int, told: str) -> None:
        super().__init__(told)
        self.line, self.told = line, told


def _check_size(events: Iterator[Any]) -> None:
    """Count values while they are read, before anything is built of them.

    An alias counts as all that it stands for, so that aliases of aliases are never written out.

    Raises:
        _TooLargeError: too many values, too deep, an alias within itself, or a tag.
    """
    from ruamel.yaml import events as kinds

    total, sizes = 0, dict[str, int]()  # sizes: of what each anchor names
    open_ones: list[tuple[str | None, int]] = []  # anchor, values read before it
    for event in events:
        line = event.start_mark.line + 1
        if isinstance(event, kinds.CollectionEndEvent):
            anchor, before = open_ones.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, kinds.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_ones):
                raise _TooLargeError(line, f"*{event.anchor} stands within itself; leave it out")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, kinds.NodeEvent):
            if event.tag is not None:  # pyright: ignore[reportAttributeAccessIssue]
                raise _TooLargeError(line, f"the tag {event.tag} is not read; leave it out")  # pyright: ignore
            if isinstance(event, kinds.CollectionStartEvent):
                open_ones.append((event.anchor, total))
            elif event.anchor is not None:
                sizes[event.anchor] = 1
            total += 1
        if total > MOST_VALUES:
            raise _TooLargeError(
                line,
                f"more than {MOST_VALUES:,} values up to here, each alias counted as what it "
                "stands for; shorten the lists, or make several files of it",
            )
        if len(open_ones) > DEEPEST:
            raise _TooLargeError(
                line, f"more than {DEEPEST} lists or mappings within each other; leave some out"
            )


@contextmanager
def _mistakes(where: str, line: str) -> Iterator[None]:
    """Turn what the parser refuses into a message with its place."""
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    def place(error: Any) -> str:
        return f"{where}{line}{error.problem_mark.line + 1}" if error.problem_mark else where

    try:
        yield
    except _TooLargeError as error:
        raise ConfigError(f"{where}{line}{error.line}: {error.told}.") from error
    except DuplicateKeyError as error:
        what = str(error.problem).split(" with value")[0]
        raise ConfigError(f"{place(error)}: {what}; keep one of the two.") from error
    except MarkedYAMLError as error:
        raise ConfigError(f"{place(error)}: not YAML: {error.problem}.") from error
    except (YAMLError, ValueError, RecursionError) as error:  # ValueError: 2024-13-45, say
        told = " ".join(str(error).split())
        raise ConfigError(f"{where} cannot be read as YAML: {told}.") from error


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
