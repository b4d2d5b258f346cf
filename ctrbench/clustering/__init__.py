"""Codebooks: cluster centres of image vectors, and the code of each item."""

from ctrbench.clustering._distinct import count_distinct
from ctrbench.clustering.facts import code_facts, collisions, level_facts
from ctrbench.clustering.kmeans import fit_codebook, nearest_code
from ctrbench.clustering.methods import Method, fit_by
from ctrbench.clustering.product import fit_product, product_codes
from ctrbench.clustering.residual import fit_residual, residual_codes

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
