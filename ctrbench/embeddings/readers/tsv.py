"""`.tsv`, `.tsv.gz`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

from ctrbench.embeddings.readers._delimited import Delimited


class Tsv(Delimited):
    """Reads tab-separated files."""

    separator = "\t"
