"""Expands a pre-training file and --set options to validated settings of each version."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ctrbench import embeddings, impressions, plugins
from ctrbench.errors import ConfigError, unknown_name
from ctrbench.pretraining import encoders, methods
from ctrbench.pretraining.encoders import Encoder
from ctrbench.pretraining.methods import PretrainMethod
from ctrbench.pretraining.pictures import open_pictures
from ctrbench.pretraining.running import Job
from ctrbench.pretraining.settings import LINES, PretrainSettings
from ctrbench.pretraining.sources import FrozenVectors, ImageSource, Pixels
from ctrbench.schema import Impressions
from ctrbench.workspace import Workspace, check_name
from ctrbench.yaml_file import read_value, read_yaml

SECTIONS = ("method", "training", "encoder")
DEFAULT_ENCODER = "small"
MOST_VERSIONS = 100  # largest number of versions of a grid


@dataclass(frozen=True)
class Variant:
    """One point of the grid of settings."""

    version: str
    method: PretrainMethod
    training: PretrainSettings
    encoder_name: str
    encoder: Encoder


def variants(
    method: str, version: str, config: Path | None, changes: list[str], pixels: bool
) -> tuple[Variant, ...]:
    """Return every combination of the settings that are lists.

    Args:
        method: The name of a pre-training method.
        version: The name of the version; in a grid, the varied settings are appended.
        config: A YAML file with `method:`, `training:` and `encoder:`, each with settings.
        changes: `section.setting=value`; they override the file.
        pixels: Whether an encoder is trained on pictures.

    Raises:
        UnknownNameError: The method or the encoder does not exist.
        ConfigError: The file, a setting or a name is invalid, a setting has no effect, or an
            encoder or the layers of the method cannot be built.
    """
    sections: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
    if config is not None:
        value, _ = read_yaml(config, "pre-training file", ", ".join(SECTIONS))
        for name, settings in value.items():
            if name not in SECTIONS:
                raise ConfigError(f"{config}: {unknown_name('section', str(name), SECTIONS)}")
            if not isinstance(settings, dict):
                raise ConfigError(f"{config}: {name} must contain `key: value` pairs.")
            sections[name] |= settings
    for change in changes:
        section, name, value = _change(change)
        sections[section][name] = value
    places = [(section, name) for section in SECTIONS for name in sections[section]]
    choices = [_choices(sections[section][name]) for section, name in places]
    count = math.prod(map(len, choices))
    if count > MOST_VERSIONS:
        raise ConfigError(
            f"lists of settings span {count:,} versions, the limit of a command is "
            f"{MOST_VERSIONS}; shorten them."
        )
    varied = [place for place, values in zip(places, choices, strict=True) if len(values) > 1]
    found = []
    for values in itertools.product(*choices):
        point = dict(zip(places, values, strict=True))
        ending = "".join(f"-{name}{point[section, name]}" for section, name in varied)
        named = check_name("embedding version", version + ending)
        found.append(_variant(method, named, point))
    _refuse_unused(method, found[0], sections, pixels)
    _build_once(found, pixels)
    return tuple(found)


def sources(
    workspace: Workspace, log: Impressions, from_version: str | None, found: Sequence[Variant]
) -> Sequence[ImageSource]:
    """Return the input of each variant: the pictures, or the vectors of a version.

    Args:
        workspace: The workspace of the data set.
        log: The data set.
        from_version: The version whose vectors are the input; None for pictures.
        found: The variants.

    Raises:
        ConfigError: The method requires pictures.
        DataError: No picture can be decoded.
        UnknownNameError: No such version.
    """
    fitting = impressions.items_in_period(log, log.fitting_period)
    if from_version is None:
        pictures = open_pictures(workspace, log.manifest)
        return [Pixels(pictures, one.encoder, one.encoder_name, fitting) for one in found]
    if found[0].method.augmented:
        raise ConfigError(
            "this method requires random views of pictures; use --images instead of --from-version."
        )
    table = embeddings.open_version(workspace, log.manifest.name, from_version)
    manifest = embeddings.read_manifest(workspace, log.manifest.name, from_version)
    return [FrozenVectors(table, from_version, manifest.content_hash, fitting)] * len(found)


def require_free(
    workspace: Workspace, log: Impressions, planned: list[tuple[Job, ImageSource]]
) -> None:
    """Check that no name of a planned version has other content.

    Args:
        workspace: The workspace.
        log: The impressions of the data set.
        planned: The versions to create.

    Raises:
        ConfigError: A name has other content.
    """
    for job, source in planned:
        embeddings.registered(workspace, log.manifest, job.version, job.recipe(log, source))


def _refuse_unused(
    method: str, one: Variant, sections: dict[str, dict[str, Any]], pixels: bool
) -> None:
    """Reject settings that have no effect."""
    if sections["encoder"] and not pixels:
        raise ConfigError(
            f"encoder ({', '.join(sections['encoder'])}) has no effect with --from-version, "
            "which replaces the encoder by vectors. Remove it, or train on pictures with --images."
        )
    unused = [name for name in LINES if name in sections["training"]]
    if unused and one.method.samples != "lines":
        raise ConfigError(
            f"training ({', '.join(unused)}) has no effect on {method}, which trains on single "
            "items, not on lines of the log. Remove it."
        )


def _build_once(found: list[Variant], pixels: bool) -> None:
    """Build the networks of each version once and discard them, to find errors early."""
    for device in dict.fromkeys(one.training.device for one in found):
        _require_device(device)
    built = []
    for one in found:
        width = one.training.width
        if pixels and (one.encoder, width) not in built:
            one.encoder.build(width)
            built.append((one.encoder, width))
        if (one.method, width) not in built:
            one.method.layers(width, ["", "a title"])
            built.append((one.method, width))


def _require_device(name: str) -> None:
    """Check that torch supports a device.

    Raises:
        ConfigError: The device is unknown or not available.
    """
    import torch

    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ConfigError(
            f"training.device {name!r} is unknown to torch; write cpu, cuda or cuda:1."
        ) from error
    if device.type == "cpu":
        return
    module = getattr(torch, device.type, None)
    count = module.device_count() if module is not None and module.is_available() else 0
    if (device.index or 0) >= count:
        raise ConfigError(
            f"training.device {name!r} is not available: torch finds {count} {device.type} "
            "devices. Write cpu, or install torch for the device."
        )


def _variant(method: str, version: str, point: dict[tuple[str, str], Any]) -> Variant:
    def of(section: str) -> dict[str, Any]:
        return {name: value for (owner, name), value in point.items() if owner == section}

    encoder = of("encoder")
    name = str(encoder.pop("name", DEFAULT_ENCODER))
    return Variant(
        version=version,
        method=methods.configured(method, of("method")),
        training=plugins.validated(PretrainSettings, of("training"), "training"),
        encoder_name=name,
        encoder=encoders.configured(name, encoder),
    )


def _choices(value: Any) -> list[Any]:
    if not isinstance(value, list):
        return [value]
    if not value:
        raise ConfigError("a list of settings is a grid and must not be empty.")
    if len(set(map(repr, value))) < len(value):
        raise ConfigError(f"{value} is a grid with a repeated value; give each value once.")
    return value


def _change(text: str) -> tuple[str, str, Any]:
    """Parse a setting from the command line; the value is YAML."""
    place, sign, value = text.partition("=")
    section, dot, name = place.partition(".")
    if not (sign and dot and name) or section not in SECTIONS:
        raise ConfigError(
            f"--set {text!r} is invalid: write SECTION.SETTING=VALUE, where SECTION is one of "
            f"{', '.join(SECTIONS)}; for example --set training.epochs=5."
        )
    return section, name, read_value(value, f"--set {text}")
