"""Versions that ctrbench trains, and codebooks of versions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench import embeddings, impressions
from ctrbench.api.inputs import Home, Location, opened
from ctrbench.atomic import check_writable
from ctrbench.catalogue import Catalogue, catalogue
from ctrbench.codebook_facts import Request
from ctrbench.display import Listing
from ctrbench.embeddings.outcomes import PretrainedVersion
from ctrbench.errors import ConfigError
from ctrbench.schema import OF_VERSION

if TYPE_CHECKING:
    from ctrbench.codebook_facts import FittedCodebooks

SIZES = (200,)  # of codebooks


def pretrain(
    method: str,
    version: str,
    *,
    dataset: str,
    images: bool = False,
    from_version: str | None = None,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    config: Location | None = None,
    weights: Location | None = None,
    allow_collapsed: bool = False,
    progress: bool | None = None,
    workspace: Home = ".",
) -> Listing[PretrainedVersion]:
    """Train an encoder on the pretrain period, encode every item, register the version.

    If the call is interrupted, repeat it: it resumes from the last checkpoint.

    Args:
        method: The method, such as `courier` or `simclr`.
        version: The name of the new version.
        dataset: The name of the data set.
        images: Whether to train on the pixels of the pictures.
        from_version: The version on whose vectors a layer is trained instead.
        settings: Settings of `method`, `training` and `encoder`; lists span a grid of versions.
        config: A YAML file of these settings; `settings` take precedence.
        weights: A .safetensors file for the trained encoder.
        allow_collapsed: Register the version even if its vectors collapsed.
        progress: As for `run`.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: Options contradict each other, or a name exists with other content.
        DataError: There is nothing to learn from, or the vectors collapsed.
        DivergedError: The loss, the gradient or the weights became infinite or NaN.
        UnknownNameError: The method, the data set or the version does not exist.
    """
    changes = [
        f"{section}.{name}={json.dumps(value)}"
        for section, given in (settings or {}).items()
        for name, value in given.items()
    ]
    made = pretrained(
        method,
        version,
        dataset=dataset,
        images=images,
        from_version=from_version,
        changes=changes,
        config=config,
        weights=weights,
        allow_collapsed=allow_collapsed,
        progress=progress,
        workspace=workspace,
    )
    return Listing(made, "versions.show_all_trained")


def pretrained(
    method: str,
    version: str,
    *,
    dataset: str,
    images: bool,
    from_version: str | None,
    changes: Sequence[str],
    config: Location | None,
    weights: Location | None,
    allow_collapsed: bool,
    progress: bool | None,
    workspace: Home = ".",
    waiting: Callable[[], None] = lambda: None,
) -> Iterator[PretrainedVersion]:
    """Yield each version of a grid as soon as it is trained; see `pretrain`.

    Args:
        method: See `pretrain`.
        version: See `pretrain`.
        dataset: See `pretrain`.
        images: See `pretrain`.
        from_version: See `pretrain`.
        changes: Settings as texts, `section.setting=value`.
        config: See `pretrain`.
        weights: See `pretrain`.
        allow_collapsed: See `pretrain`.
        progress: See `pretrain`.
        workspace: See `pretrain`.
        waiting: Called before waiting for another process that creates the same vectors.

    Raises:
        ConfigError: See `pretrain`.
        DataError: See `pretrain`.
        DamagedError: See `pretrain`.
        DivergedError: See `pretrain`.
        UnknownNameError: See `pretrain`.
    """
    if images == (from_version is not None):
        raise ConfigError("give either images (--images) or from_version (--from-version).")
    from ctrbench.distributed import Processes
    from ctrbench.executors import return_freed_memory
    from ctrbench.pretraining.configuring import require_free, sources, variants
    from ctrbench.pretraining.running import Job
    from ctrbench.pretraining.running import pretrain as run
    from ctrbench.pretraining.sources import Pixels
    from ctrbench.terminal.progress import pretraining
    from ctrbench.terminal.versions import show_unusable

    home, file = opened(workspace), None if config is None else Path(config)
    found = variants(method, version, file, [*changes], pixels=images)
    target = None if weights is None else Path(weights)
    if target is not None and len(found) > 1:
        raise ConfigError(
            f"weights (--save-weights) names the file of one encoder, but this grid has "
            f"{len(found)} versions."
        )
    if target is not None and target.suffix != ".safetensors":
        raise ConfigError(
            f"weights (--save-weights) {target}: name a file that ends in .safetensors."
        )
    if target is not None:
        check_writable(target)

    def check_inputs() -> None:
        impressions.require_intact(home, dataset)
        if from_version is not None:
            embeddings.require_intact(home, dataset, from_version.partition(OF_VERSION)[0])

    Processes().first(check_inputs)
    log = impressions.open_impressions(home, dataset)
    return_freed_memory()
    jobs = [Job(dataset, one.version, method, one.method, one.training) for one in found]
    given = sources(home, log, from_version, found)
    if isinstance(given[0], Pixels) and Processes().rank == 0:
        show_unusable(given[0].pictures.unusable)
    planned = list(zip(jobs, given, strict=True))
    require_free(home, log, planned)
    for job, source in planned:
        with pretraining(job.version, progress) as report:
            made = run(home, job, source, report, allow_collapsed, target, waiting)
        if made is not None:
            yield PretrainedVersion(*made)


def codebook(
    version: str,
    size: int | Sequence[int] = SIZES,
    *,
    dataset: str,
    method: str = Request.method,
    seeds: int = Request.seeds,
    against: str | None = None,
    center: bool = Request.center,
    output: Location | None = None,
    workspace: Home = ".",
) -> FittedCodebooks:
    """Fit codebooks on the items of the pretrain period, and describe them.

    Args:
        version: The name of the version; `v7:text` is one vector field.
        size: Number of centres, or several.
        dataset: The name of the data set.
        method: `kmeans`, `spherical`, `hierarchical` or `single_pass`.
        seeds: Number of fits, from 1 to 100.
        against: Another version, whose clusters are compared.
        center: Subtract the mean vector before normalising.
        output: A folder for codes.parquet, centres.npy and a sheet, one per size.
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: A size is below 2, or repeated.
        DataError: There are fewer distinct vectors than centres.
        StoreError: A file cannot be written.
        UnknownNameError: The data set, the version or the method does not exist.
    """
    from ctrbench.codebook_facts import export, fit

    home, sizes = opened(workspace), (size,) if isinstance(size, int) else tuple(size)
    if len(set(sizes)) < len(sizes):
        raise ConfigError(f"size {size!r}: a size is repeated; give each once.")
    request = Request(dataset, version, sizes, method, seeds, against, center)
    if output is not None:
        check_writable(Path(output) / request.folder_name(sizes[0]) / "codes.parquet")
    fitted = fit(home, request)
    if output is not None:
        fitted = fitted.with_files(export(home, fitted, Path(output)))
    return fitted


def list_names(*, workspace: Home = ".") -> Catalogue:
    """Return all names that a command or a matrix can use: modes, metrics, data sets, and so on.

    Args:
        workspace: The workspace, or its folder.
    """
    return catalogue(opened(workspace))
