"""Exact AUC and GAUC by ranks; ties count one half."""

from __future__ import annotations

import numpy as np


def auc(click: np.ndarray, p_click: np.ndarray) -> float:
    """Return the probability that a click outranks a non-click.

    Args:
        click: (N,) int, 0 or 1.
        p_click: (N,) float; only the order matters.

    >>> auc(np.array([1, 0, 1, 0]), np.array([.9, .1, .4, .4]))
    0.875
    """
    return gauc(click, p_click, np.zeros(len(click), np.int64))


def gauc(click: np.ndarray, p_click: np.ndarray, user_id: np.ndarray) -> float:
    """Return the mean AUC of users, weighted by impressions; users of one class are excluded.

    Args:
        click: (N,) int, 0 or 1.
        p_click: (N,) float; only the order matters.
        user_id: (N,) int.

    >>> clicks, p = np.array([1, 0, 1, 0, 0, 0]), np.array([.9, .1, .2, .8, .1, .5])
    >>> gauc(clicks, p, np.array([1, 1, 2, 2, 2, 3]))
    0.7
    """
    order = np.lexsort((p_click, user_id))
    click, p_click, user_id = click[order].astype(np.int64), p_click[order], user_id[order]
    user, impressions = _runs(user_id[1:] != user_id[:-1])
    tie, ties = _runs((user_id[1:] != user_id[:-1]) | (p_click[1:] != p_click[:-1]))
    last = np.cumsum(ties) - 1
    rank = (last - (ties - 1) / 2)[tie] - (np.cumsum(impressions) - impressions)[user]  # from 0
    clicks = np.bincount(user, click)
    above = np.bincount(user, click * rank) - clicks * (clicks - 1) / 2  # outranked non-clicks
    pairs = clicks * (impressions - clicks)
    used = pairs > 0
    return float(np.average(above[used] / pairs[used], weights=impressions[used]))


def _runs(begins: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the index of each row's run, and the length of every run."""
    run = np.concatenate([[0], np.cumsum(begins)])
    return run, np.bincount(run)
