"""Read YAML strictly: a key twice is an error, 1e-3 is a number, and every mistake has a line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ctrbench.errors import ConfigError

Lines = dict[tuple[Any, ...], int]  # where a key stands -> line


def read_yaml(path: Path, kind: str, keys: str) -> tuple[dict[str, Any], Lines]:
    """The file's plain value, and the line of every key and list entry.

    Args:
        path: the file.
        kind: what people call it.
        keys: that it holds, in words.

    Raises:
        ConfigError: no such file, not YAML, a key twice, or no keys at all.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    if path.is_dir():
        raise ConfigError(f"{path} is a folder; give the path of a YAML file.")
    if not path.is_file():
        raise ConfigError(f"no {kind} {path}; give the path of a YAML file.")
    try:
        text = path.read_text(encoding="utf-8")
        value = YAML(typ="safe", pure=True).load(text)
        tree = YAML(typ="rt").load(text)
    except DuplicateKeyError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        what = str(error.problem).split(" with value")[0]
        raise ConfigError(f"{path}, line {line}: {what}; keep one of the two.") from error
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else "?"
        raise ConfigError(f"{path}, line {line}: not YAML: {error.problem}.") from error
    except (YAMLError, UnicodeDecodeError, RecursionError) as error:
        told = " ".join(str(error).split())
        raise ConfigError(f"{path} is not a YAML text file in UTF-8: {told}.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    if not isinstance(value, dict):
        raise ConfigError(f"{path} must hold keys such as {keys}.")
    return value, _lines(tree)


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
