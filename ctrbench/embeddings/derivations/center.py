"""`center`: subtracts the mean vector."""

from __future__ import annotations

from ctrbench.arrays import SelectedRows
from ctrbench.embeddings.derivations._base import Derivation, Fitted


class Center(Derivation):
    """Subtracts the mean vector of the fitting items; has no settings."""

    def fit(self, rows: SelectedRows) -> Fitted:
        """See `Derivation`."""
        mean = rows.mean()
        return Fitted(rows.width, lambda block: block - mean, {})
