"""The CTR models; each takes any injection mode."""

from ctrbench.models.din import DIN

__all__ = ["DIN"]
