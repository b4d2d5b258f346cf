"""Contrastive losses over the global batch; every function takes plain tensors.

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
    """Mean over all queries of `-log softmax(q . c / temperature)` at the positive candidate.

    The softmax runs over the candidates of all processes. Those that show the positive's own item
    are left out of it, for they are no negatives. Both sides are scaled to length one.

    Source: van den Oord et al. 2018, arXiv:1807.03748, equation 4.

    Args:
        queries: (M, D).
        candidates: (N, D).
        item: (N,) int64, the item that each candidate shows.
        positive: (M,) int64, the place of each query's own candidate.
        temperature: > 0.
        across: the processes that share the batch.

    Returns:
        This process's part of the mean; 0 where no process has a query.
    """
    total = max(across.total(len(queries)), 1)
    everything, items = across.gather(_unit(candidates)), across.gather(item)
    logits = _unit(queries) @ everything.t() / temperature  # (M, all N)
    place = positive + across.offset(len(candidates))
    same = items == item[positive][:, None]
    same[torch.arange(len(positive)), place] = False
    return F.cross_entropy(logits.masked_fill(same, -torch.inf), place, reduction="sum") / total


def nt_xent(one: Tensor, two: Tensor, temperature: float, across: Processes) -> Tensor:
    """SimCLR's loss: each view is to find the other view of its image among all other views.

    Source: Chen et al. 2020, arXiv:2002.05709, equation 1.

    Args:
        one: (N, D), first views.
        two: (N, D), second views of the same images.
        temperature: > 0.
        across: the processes that share the batch.
    """
    count = len(one)
    views = _unit(torch.cat([one, two]))  # (2N, D)
    everything = across.gather(views)
    logits = views @ everything.t() / temperature
    start = across.offset(2 * count)
    own = torch.arange(2 * count, device=one.device)
    logits = logits.index_put((own, own + start), logits.new_tensor(-torch.inf))
    other = (own + count) % (2 * count) + start
    total = max(across.total(2 * count), 1)
    return F.cross_entropy(logits, other, reduction="sum") / total


def mean_over_all(values: Tensor, across: Processes) -> Tensor:
    """This process's part of the mean of (n,) values over all processes; 0 where there is none."""
    return values.sum() / max(across.total(len(values)), 1)


def cosines(one: Tensor, two: Tensor) -> Tensor:
    """(n,) cosines of (n, D) vectors, row by row; 0 where one is zero."""
    return F.cosine_similarity(_in_range(one), _in_range(two))


def _unit(vectors: Tensor) -> Tensor:
    """(n, D) of length one."""
    return F.normalize(_in_range(vectors), dim=1)


def _in_range(vectors: Tensor) -> Tensor:
    """(n, D) scaled by powers of two, so that no square vanishes or overflows and no digit is lost.

    At least float32: half precision cannot hold the norm of many vectors.
    """
    vectors = vectors.to(torch.promote_types(vectors.dtype, torch.float32))
    exponent = torch.frexp(vectors.detach().abs().amax(dim=1, keepdim=True)).exponent
    return torch.ldexp(vectors, -exponent.clamp(-120, 120))
