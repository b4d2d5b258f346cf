"""The CTR models; each takes any injection mode."""

from ctrbench.models._library import load_loops
from ctrbench.models._loading import backbone_names, load_backbone

__all__ = ["backbone_names", "load_backbone", "load_loops"]
