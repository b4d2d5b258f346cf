"""`center`: subtract the mean vector, the direction that all vectors share."""

from __future__ import annotations

from ctrbench.embeddings.derivations._base import Derivation, Fitted, Rows


class Center(Derivation):
    """Has no settings."""

    def fit(self, rows: Rows) -> Fitted:
        """See `Derivation`."""
        mean = rows.mean()
        return Fitted(rows.width, lambda block: block - mean, {})
