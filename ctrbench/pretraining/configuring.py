"""A pre-training file and single settings -> the versions to be made, all checked before any is."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrbench import encoders, plugins, pretrain
from ctrbench.encoders import Encoder
from ctrbench.errors import ConfigError, unknown_name
from ctrbench.pretrain import PretrainMethod
from ctrbench.pretraining.settings import PretrainSettings
from ctrbench.yaml_file import read_yaml

SECTIONS = ("method", "training", "encoder")
DEFAULT_ENCODER = "small"


@dataclass(frozen=True)
class Variant:
    """One point of the grid."""

    version: str
    method: PretrainMethod
    training: PretrainSettings
    encoder_name: str
    encoder: Encoder


def variants(
    method: str, version: str, config: Path | None, changes: list[str]
) -> tuple[Variant, ...]:
    """Every combination of the settings that are lists.

    Args:
        method: a file below pretrain/.
        version: the name; of a grid the start of it, followed by what differs.
        config: YAML with `method:`, `training:` and `encoder:`, each holding settings.
        changes: `section.setting=value`; they win over the file.

    Raises:
        UnknownNameError: no such method or encoder.
        ConfigError: the file or a setting will not do.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    if config is not None:
        value, _ = read_yaml(config, "pre-training file", ", ".join(SECTIONS))
        for name, settings in value.items():
            if name not in SECTIONS:
                raise ConfigError(f"{config}: {unknown_name('section', str(name), SECTIONS)}")
            if not isinstance(settings, dict):
                raise ConfigError(f"{config}: {name} must hold `key: value` pairs.")
            sections[name] |= settings
    for change in changes:
        section, name, value = _change(change)
        sections[section][name] = value
    places = [(section, name) for section in SECTIONS for name in sections[section]]
    choices = [_choices(sections[section][name]) for section, name in places]
    varied = [place for place, values in zip(places, choices, strict=True) if len(values) > 1]
    found = []
    for values in itertools.product(*choices):
        point = dict(zip(places, values, strict=True))
        ending = "".join(f"-{name}{point[section, name]}" for section, name in varied)
        found.append(_variant(method, version + ending, point))
    return tuple(found)


def _variant(method: str, version: str, point: dict[tuple[str, str], Any]) -> Variant:
    def of(section: str) -> dict[str, Any]:
        return {name: value for (owner, name), value in point.items() if owner == section}

    encoder = of("encoder")
    name = str(encoder.pop("name", DEFAULT_ENCODER))
    return Variant(
        version=version,
        method=pretrain.configured(method, of("method")),
        training=plugins.checked(PretrainSettings, of("training"), "training"),
        encoder_name=name,
        encoder=encoders.configured(name, encoder),
    )


def _choices(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    if not value:
        raise ConfigError("a list of settings is a grid, and an empty one tries nothing.")
    return value


def _change(text: str) -> tuple[str, str, Any]:
    """A setting from the command line; its value is read as YAML."""
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    place, sign, value = text.partition("=")
    section, dot, name = place.partition(".")
    if not (sign and dot and name) or section not in SECTIONS:
        raise ConfigError(
            f"--set {text!r} will not do: write SECTION.SETTING=VALUE, the section one of "
            f"{', '.join(SECTIONS)}; for example --set training.epochs=5."
        )
    try:
        return section, name, YAML(typ="safe", pure=True).load(value)
    except YAMLError as error:
        raise ConfigError(f"--set {text!r}: {value!r} is no value: {error}") from error
