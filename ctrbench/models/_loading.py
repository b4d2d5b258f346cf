"""Loads backbones by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench import plugins

if TYPE_CHECKING:
    from ctrbench.models._base import Backbone

PACKAGE = "ctrbench.models"


def backbone_names() -> list[str]:
    """Return the sorted names of all backbones, built-in and installed."""
    return plugins.names(PACKAGE)


def load_backbone(name: str) -> type[Backbone]:
    """Return the class of a backbone.

    Raises:
        UnknownNameError: No backbone has this name.
        ContractError: The file does not define exactly one backbone.
    """
    from ctrbench.models._base import Backbone

    return plugins.load(PACKAGE, name, Backbone, "backbone")
