"""`pca`: projects on the principal components."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt

from ctrbench.arrays import SelectedRows
from ctrbench.embeddings.derivations._base import Derivation, Fitted
from ctrbench.errors import ConfigError, DataError


class Pca(Derivation):
    """Centres vectors and projects them; the largest loading of each component is positive."""

    width: PositiveInt = 64  # number of components

    def fit(self, rows: SelectedRows) -> Fitted:
        """See `Derivation`.

        Raises:
            ConfigError: There are more components than numbers per vector, or too few vectors.
            DataError: All vectors are equal.
        """
        most = min(rows.width, len(rows) - 1)
        if self.width > most:
            raise ConfigError(
                f"pca: width {self.width} exceeds {most}, the most for {len(rows):,} fitting items "
                f"with vectors of {rows.width} numbers; choose width {most} or less."
            )
        mean = rows.mean()
        scatter = sum(((block - mean).T @ (block - mean) for block in rows), np.zeros(()))  # (D, D)
        variance, basis = np.linalg.eigh(scatter)  # ascending
        if variance[-1] <= 0:
            raise DataError("pca: all vectors of the fitting items are equal.")
        basis = basis[:, ::-1][:, : self.width]  # (D, width)
        basis = basis * np.sign(basis[np.abs(basis).argmax(0), np.arange(self.width)])
        explained = float(variance[-self.width :].sum() / variance.sum())
        return Fitted(
            self.width, lambda block: (block - mean) @ basis, {"explained_variance": explained}
        )
