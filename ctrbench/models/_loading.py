"""A backbone by its name; torch is imported only when one is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ctrbench import plugins

if TYPE_CHECKING:
    from ctrbench.models._base import Backbone

PACKAGE = "ctrbench.models"


def backbone_names() -> list[str]:
    """Of all backbones, own and installed."""
    return plugins.names(PACKAGE)


def load_backbone(name: str) -> type[Backbone]:
    """The class of a backbone.

    Raises:
        UnknownNameError: no backbone has this name.
        ContractError: its file defines no such class, or several.
    """
    from ctrbench.models._base import Backbone

    return plugins.load(PACKAGE, name, Backbone, "backbone")
