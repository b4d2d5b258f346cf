"""Intrinsic quality of the vector fields that a matrix reads, cached by content hash."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from itertools import product
from typing import TYPE_CHECKING

from ctrbench import embeddings, impressions
from ctrbench.errors import DamagedError
from ctrbench.identity import hash_json
from ctrbench.plan import Matrix
from ctrbench.sealed import opened, write_sealed
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.quality import Quality

REVISION = 1  # raised when the measures of the same vectors change


def qualities(workspace: Workspace, matrix: Matrix) -> dict[tuple[str, str | None], Quality]:
    """Return the quality of the vectors in the workspace, measured unless cached.

    The keys are a version and a vector field as the modes name it; None is the first field.
    Versions of codes have no quality.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.

    Raises:
        StoreError: The data set or a version is damaged, or the cache cannot be written.
    """
    from ctrbench.quality import Quality, version_quality

    name = matrix.dataset.name
    if name not in impressions.names(workspace):
        return {}
    label = matrix.dataset.outcome
    if (
        impressions.read_manifest(workspace, name, label).content_hash
        != matrix.dataset.content_hash
    ):
        return {}
    log = None
    found: dict[tuple[str, str | None], Quality] = {}
    known = embeddings.names(workspace, name)
    for version, field in product(matrix.versions, matrix.vector_fields):
        if version not in known or matrix.versions[version].of(field).kind == "codes":
            continue
        manifest = matrix.versions[version]
        recipe = [REVISION, manifest.of(field).content_hash, matrix.dataset.content_hash]
        path = workspace.cache / "quality" / name / f"{hash_json(recipe)}.json"
        with suppress(DamagedError, FileNotFoundError):
            found[version, field] = Quality(**json.loads(opened(path, path.read_bytes())))
            continue
        embeddings.require_intact(workspace, name, version)
        if log is None:
            impressions.require_intact(workspace, name)
            log = impressions.open_impressions(workspace, name, label)
        table = embeddings.open_version(workspace, name, manifest.reference(field))
        found[version, field] = version_quality(table, log)
        write_sealed(path, asdict(found[version, field]))
    return found
