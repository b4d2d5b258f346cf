"""The CTR models (backbones); each supports every injection mode."""

from ctrbench.models._loading import backbone_names, load_backbone

__all__ = ["backbone_names", "load_backbone"]
