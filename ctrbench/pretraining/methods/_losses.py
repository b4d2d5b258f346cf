"""Contrastive losses over the global batch, on plain tensors.

Shapes: N candidates and M queries of this process, D vector width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ctrbench.distributed import Processes


def info_nce(
    queries: Tensor,
    candidates: Tensor,
    item: Tensor,
    positive: Tensor,
    temperature: float,
    across: Processes,
) -> Tensor:
    """Return the mean over queries of `-log softmax(q . c / temperature)` at the positive.

    The softmax runs over the candidates of all processes, except other candidates that show the
    item of the positive. Queries and candidates are normalised to length one.

    Args:
        queries: (M, D) float32.
        candidates: (N, D) float32.
        item: (N,) int64, the item of each candidate.
        positive: (M,) int64, the index of the positive candidate of each query.
        temperature: The divisor of the cosines, above 0.
        across: The processes that share the batch.

    Returns:
        The share of this process in the mean; 0 if no process has a query.

    Source: van den Oord et al. 2018, arXiv:1807.03748, equation 4.
    """
    total = max(across.total(len(queries)), 1)
    all_candidates, items = across.gather(_unit(candidates)), across.gather(item)
    logits = _unit(queries) @ all_candidates.t() / temperature  # (M, all N)
    place = positive + across.offset(len(candidates))
    same = items == item[positive][:, None]
    same[torch.arange(len(positive)), place] = False
    return F.cross_entropy(logits.masked_fill(same, -torch.inf), place, reduction="sum") / total


def nt_xent(one: Tensor, two: Tensor, temperature: float, across: Processes) -> Tensor:
    """Return the loss of SimCLR, in which each view identifies the other view of its image.

    Args:
        one: (N, D) float32, first views.
        two: (N, D) float32, second views of the same images.
        temperature: The divisor of the cosines, above 0.
        across: The processes that share the batch.

    Returns:
        The share of this process in the mean over all views.

    Source: Chen et al. 2020, arXiv:2002.05709, equation 1.
    """
    count = len(one)
    views = _unit(torch.cat([one, two]))  # (2N, D)
    all_views = across.gather(views)
    logits = views @ all_views.t() / temperature
    start = across.offset(2 * count)
    own = torch.arange(2 * count, device=one.device)
    logits = logits.index_put((own, own + start), logits.new_tensor(-torch.inf))
    other = (own + count) % (2 * count) + start
    total = max(across.total(2 * count), 1)
    return F.cross_entropy(logits, other, reduction="sum") / total


def mean_over_all(values: Tensor, across: Processes) -> Tensor:
    """Return the share of this process in the mean over all processes; 0 without values.

    Args:
        values: (n,) float32.
        across: The processes that share the batch.
    """
    return values.sum() / max(across.total(len(values)), 1)


def cosines(one: Tensor, two: Tensor) -> Tensor:
    """Return the row-wise cosines, (n,) float32; 0 if a vector is zero.

    Args:
        one: (n, D) float.
        two: (n, D) float.
    """
    return F.cosine_similarity(_in_range(one), _in_range(two))


def _unit(vectors: Tensor) -> Tensor:
    """Return the vectors normalised to length one, (n, D)."""
    return F.normalize(_in_range(vectors), dim=1)


def _in_range(vectors: Tensor) -> Tensor:
    """Return vectors scaled by powers of two, so that squares neither underflow nor overflow.

    The result is at least float32, because float16 cannot represent the norm of many vectors.
    """
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    exponent = torch.frexp(vectors.detach().abs().amax(dim=1, keepdim=True)).exponent
    return torch.ldexp(vectors, -exponent.clamp(-120, 120))
