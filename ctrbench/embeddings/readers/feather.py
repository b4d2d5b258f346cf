"""`.feather`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

from ctrbench.embeddings.readers._ipc import Ipc


class Feather(Ipc):
    """Reads Arrow IPC files."""
