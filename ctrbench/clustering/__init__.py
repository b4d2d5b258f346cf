"""Codebooks: cluster centres of image vectors, and the code of each item."""

from ctrbench.clustering.kmeans import code_facts, fit_codebook, nearest_code

__all__ = ["code_facts", "fit_codebook", "nearest_code"]
