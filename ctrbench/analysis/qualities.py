"""Intrinsic quality of the versions of a matrix, cached by content hash."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from ctrbench import embeddings, impressions
from ctrbench.atomic import write_json
from ctrbench.identity import hash_json
from ctrbench.plan import Matrix
from ctrbench.schema import Impressions
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.quality import Quality

REVISION = 1  # raised when the measures of the same vectors change


def qualities(workspace: Workspace, matrix: Matrix) -> dict[str, Quality]:
    """Return the quality of every version whose vectors are at hand; measures what is not cached.

    Args:
        workspace: The workspace of the data set.
        matrix: The checked matrix.

    Raises:
        StoreError: The data set or a version is damaged, or the cache cannot be written.
    """
    from ctrbench.quality import Quality

    name = matrix.dataset.name
    if name not in impressions.names(workspace):
        return {}
    if impressions.read_manifest(workspace, name).content_hash != matrix.dataset.content_hash:
        return {}
    log = None
    found: dict[str, Quality] = {}
    known = embeddings.names(workspace, name)
    for version, manifest in matrix.versions.items():
        if version not in known:
            continue
        recipe = [REVISION, manifest.content_hash, matrix.dataset.content_hash]
        path = workspace.cache / "quality" / name / f"{hash_json(recipe)}.json"
        if path.exists():
            found[version] = Quality(**json.loads(path.read_text(encoding="utf-8")))
            continue
        log = log or impressions.open_impressions(workspace, name)
        found[version] = _measured(workspace, log, version)
        write_json(path, asdict(found[version]))
    return found


def _measured(workspace: Workspace, log: Impressions, version: str) -> Quality:
    """Return the quality of a version; the first categorical item field is the category."""
    from ctrbench.quality import quality

    table = embeddings.open_version(workspace, log.manifest.name, version)
    fields = [field for field in log.manifest.fields if field.of == "item" and field.size]
    return quality(table, log, log.item_fields[fields[0].name] if fields else None)
