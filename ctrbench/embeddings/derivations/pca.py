"""`pca`: the directions in which the centred vectors vary most."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt

from ctrbench.embeddings.derivations._base import Derivation, Fitted, Rows
from ctrbench.errors import ConfigError, DataError


class Pca(Derivation):
    """Centres and projects; the sign of a component makes its largest loading positive."""

    width: PositiveInt = 64  # components kept

    def fit(self, rows: Rows) -> Fitted:
        """See `Derivation`."""
        most = min(rows.width, len(rows) - 1)
        if self.width > most:
            raise ConfigError(
                f"pca cannot keep {self.width} components: {len(rows):,} items with vectors of "
                f"{rows.width} numbers span {most}; choose --width {most} or less."
            )
        mean = rows.mean()
        scatter = sum(((block - mean).T @ (block - mean) for block in rows), np.zeros(()))  # (D, D)
        variance, basis = np.linalg.eigh(scatter)  # ascending
        if variance[-1] <= 0:
            raise DataError("pca has nothing to learn: all the vectors it is fitted on are equal.")
        basis = basis[:, ::-1][:, : self.width]  # (D, width)
        basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(self.width)])
        explained = float(variance[-self.width :].sum() / variance.sum())
        return Fitted(
            self.width, lambda block: (block - mean) @ basis, {"explained_variance": explained}
        )
