"""Fits codebooks (cluster centres of image vectors) and assigns a code to each item."""

from ctrbench.clustering.facts import code_facts, collisions, count_distinct, level_facts
from ctrbench.clustering.one_code import Method, fit_by, fit_codebook, nearest_code
from ctrbench.clustering.several_codes import (
    fit_product,
    fit_residual,
    product_codes,
    residual_codes,
)

__all__ = [
    "Method",
    "code_facts",
    "collisions",
    "count_distinct",
    "fit_by",
    "fit_codebook",
    "fit_product",
    "fit_residual",
    "level_facts",
    "nearest_code",
    "product_codes",
    "residual_codes",
]
