"""`.arrow`: a column of ids, and one column of lists or one column per dimension."""

from __future__ import annotations

from ctrbench.embeddings.readers._ipc import Ipc


class Arrow(Ipc):
    """Reads Arrow IPC files."""
