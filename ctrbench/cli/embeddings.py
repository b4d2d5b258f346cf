"""`ctrbench embeddings`: add, look at, check, derive and remove embedding versions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ctrbench import embeddings, impressions
from ctrbench.cli import _guards as guards
from ctrbench.errors import ConfigError, UnknownNameError
from ctrbench.schema import EmbeddingTable, Impressions, VersionManifest
from ctrbench.workspace import Workspace
from ctrbench.yaml_file import read_value

app = typer.Typer(
    help="Versions of an image embedding: vectors joined to a data set's items by id.",
    no_args_is_help=True,
)

NUMBER = re.compile(r"[<>]? ?-?[\d.,]+( %)?|–")

Version = Annotated[str, typer.Argument(help="The version's name.", show_default=False)]
Dataset = Annotated[str, typer.Option(help="An imported data set.", show_default=False)]


@app.command()
def add(
    context: typer.Context,
    version: Version,
    dataset: Dataset,
    vectors: Annotated[
        Path,
        typer.Option(
            help=".npy, .npz, .parquet, .feather, .arrow, .csv, .tsv (both also .gz) or "
            ".safetensors, or a folder of <item_id>.npy.",
            show_default=False,
        ),
    ],
    ids: Annotated[
        Path | None,
        typer.Option(help="Item ids of the vectors, where their file has none: .npy, .txt, .csv."),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(help="The column of vectors, where a table has several of lists."),
    ] = None,
    append_to: Annotated[
        str | None, typer.Option(help="Keep this version's vectors and add the file's.")
    ] = None,
    allow_low_coverage: Annotated[
        bool,
        typer.Option(
            "--allow-low-coverage",
            help="Even if less than half of the test impressions have a vector.",
        ),
    ] = False,
) -> None:
    """Add a version: vectors from a file, joined to the data set's items by their ids."""
    workspace: Workspace = context.obj
    log = impressions.open_impressions(workspace, dataset)
    raw_ids = impressions.raw_item_ids(workspace, dataset)
    source = embeddings.Source(vectors, ids, column)
    manifest, new = embeddings.add(
        workspace, log, raw_ids, version, source, append_to, allow_low_coverage
    )
    table = embeddings.open_version(workspace, dataset, manifest.name)
    typer.echo(f"with a vector: {embeddings.shares(table.has_vector, log)}")
    _announce(manifest, new)
    for note in manifest.provenance.get("notes", ()):
        typer.echo(note)
    merged = manifest.provenance.get("merged_duplicates", 0)
    if merged:
        typer.echo(f"rows that repeat a vector, merged: {merged:,}")
    if manifest.unmatched_ids:
        typer.echo(f"ids left out: {_unmatched(manifest, raw_ids)}")


@app.command()
def derive(
    context: typer.Context,
    method: Annotated[str, typer.Argument(help="Such as center, pca.", show_default=False)],
    version: Annotated[str, typer.Argument(help="Start from this one.", show_default=False)],
    name: Annotated[str, typer.Option("--as", help="The new version.", show_default=False)],
    dataset: Dataset,
    width: Annotated[
        int | None, typer.Option(help="Numbers per vector: short for --set width=N.")
    ] = None,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="SETTING=VALUE of the method; repeatable.")
    ] = None,
) -> None:
    """Make a version out of another, fitted on the items of the pretrain period."""
    workspace: Workspace = context.obj
    log = impressions.open_impressions(workspace, dataset)
    given = [] if width is None else [("width", width)]
    settings = {}
    for setting, value in (*given, *map(_setting, changes or ())):
        if setting in settings:
            raise ConfigError(f"{setting} is set twice; set it once.")
        settings[setting] = value
    fitting = _fitting(log)
    manifest, new = embeddings.derive(
        workspace, log.manifest, version, name, (method, settings), fitting
    )
    _announce(manifest, new)
    typer.echo(f"made from: {_origin(manifest)}")


def _setting(text: str) -> tuple[str, Any]:
    """Return a setting's name, and its value read as YAML.

    Raises:
        ConfigError: the text is not `SETTING=VALUE`.
    """
    name, sign, value = text.partition("=")
    if not (name and sign):
        raise ConfigError(f"--set {text!r}: write SETTING=VALUE, for example --set width=64.")
    return name, read_value(value, f"--set {text}")


@app.command("list")
def show_all(
    context: typer.Context,
    dataset: Annotated[str | None, typer.Option(help="Only of this data set.")] = None,
) -> None:
    """List the versions of one or all data sets."""
    workspace: Workspace = context.obj
    known = embeddings.datasets(workspace)
    if dataset is not None and dataset not in known:
        every = {*known, *impressions.names(workspace)}
        if dataset not in every:
            raise UnknownNameError("data set", dataset, every)
    chosen = known if dataset is None else [dataset]
    rows = [
        (name, version, f"{m.width}", m.dtype, f"{m.items_with_vector:,}", _origin(m))
        for name in chosen
        for version in embeddings.names(workspace, name)
        for m in [embeddings.read_manifest(workspace, name, version)]
    ]
    if rows:
        _table([("data set", "version", "width", "type", "items", "made from"), *rows])
    else:
        typer.echo("no embedding versions yet; `ctrbench embeddings add` adds one.")


@app.command()
def show(context: typer.Context, version: Version, dataset: Dataset) -> None:
    """Describe a version: its vectors in numbers, and how much of the log they cover."""
    workspace: Workspace = context.obj
    log = impressions.open_impressions(workspace, dataset)
    manifest = embeddings.read_manifest(workspace, dataset, version)
    table = embeddings.open_version(workspace, dataset, version, log.manifest.items_hash)
    facts = embeddings.describe(table)
    typer.echo(f"{version} of {dataset}")
    _table(
        (f"  {label}", text)
        for label, text in [
            ("vectors", f"{facts.items_with_vector:,} of width {manifest.width}, {manifest.dtype}"),
            ("norms", _norms(facts)),
            ("mean cosine", _cosine(facts)),
            ("duplicates", _duplicates(facts)),
            ("zero vectors", zero_vectors(manifest) or "none"),
            ("coverage", f"{_share(facts.items_with_vector, facts.items)} of the items"),
            ("ids left out", _unmatched(manifest, impressions.raw_item_ids(workspace, dataset))),
            ("made from", _origin(manifest)),
            *[("file", note) for note in manifest.provenance.get("notes", ())],
            *[("targets", told) for told in repetition(manifest)],
            *_collapsed(manifest),
            ("added", f"{manifest.created}, ctrbench {manifest.ctrbench_version}"),
            ("content", manifest.content_hash),
        ]
    )
    typer.echo("\nWhat it knows, without a CTR model (unit vectors; clicks of the valid period)")
    _table((f"  {label}", text) for label, text in _quality(log, table))
    typer.echo("\nShare with a vector, by period (of a history, its latest 50 items)")
    heading = "  period", "impressions", "with vector", "history slots", "with vector"
    _table([heading, *map(_period, embeddings.coverage(table, log))])


@app.command()
def quality(
    context: typer.Context,
    dataset: Dataset,
    versions: Annotated[
        list[str] | None, typer.Argument(help="All of the data set, if left out.")
    ] = None,
) -> None:
    """Compare versions without a CTR model: what they know of clicks and categories."""
    from ctrbench.quality import overlap

    workspace: Workspace = context.obj
    log = impressions.open_impressions(workspace, dataset)
    names = versions or embeddings.names(workspace, dataset)
    tables = {
        name: embeddings.open_version(workspace, dataset, name, log.manifest.items_hash)
        for name in names
    }
    rows = [
        (_marked(workspace, dataset, name), *(text for _, text in _quality(log, table, brief=True)))
        for name, table in tables.items()
    ]
    if not rows:
        typer.echo(f"no versions of {dataset} yet; `ctrbench embeddings add` adds one.")
        return
    heading = [label for label, _ in _quality(log, next(iter(tables.values())), brief=True)]
    _table([("version", *heading), *rows])
    if len(names) > 1:
        typer.echo("\nShare of the ten nearest items in common")

        def common(one: str, two: str) -> str:
            share = 1.0 if one == two else overlap(tables[one], tables[two])
            return "–" if share is None else _share(share)

        rows = [(f"  {one}", *(common(one, two) for two in names)) for one in names]
        _table([("  version", *names), *rows])


@app.command()
def sheet(
    context: typer.Context,
    version: Version,
    dataset: Dataset,
    output: Annotated[Path, typer.Option(help="The picture to write.", show_default=False)],
    rows: Annotated[int, typer.Option(min=1, help="Items, drawn at random.")] = 12,
    neighbours: Annotated[int, typer.Option(min=1, help="Of each item.")] = 10,
    size: Annotated[int, typer.Option(min=16, help="Pixels of a picture.")] = 64,
) -> None:
    """Draw items beside those that the version holds nearest, most alike first."""
    from ctrbench.pretraining.pictures import open_pictures
    from ctrbench.pretraining.sheets import write_sheet

    workspace: Workspace = context.obj
    manifest = impressions.read_manifest(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version, manifest.items_hash)
    drawn = write_sheet(output, table, open_pictures(workspace, manifest), rows, neighbours, size)
    typer.echo(f"wrote {output}: {drawn} items of {version}, each before its nearest")


@app.command()
def check(context: typer.Context, version: Version, dataset: Dataset) -> None:
    """Print each guard and its outcome; exit code 1 if one is an error."""
    workspace: Workspace = context.obj
    log = impressions.open_impressions(workspace, dataset)
    table = embeddings.open_version(workspace, dataset, version)
    found = embeddings.check(
        embeddings.read_manifest(workspace, dataset, version),
        table,
        embeddings.describe(table),
        embeddings.Context(log.manifest, _fitting(log), embeddings.coverage(table, log)),
    )
    guards.show(found)


@app.command()
def remove(
    context: typer.Context,
    version: Version,
    dataset: Dataset,
    yes: Annotated[bool, typer.Option("--yes", help="Confirm; it cannot be undone.")] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Even if stored records were made with it.")
    ] = False,
) -> None:
    """Remove a version; records made with it stay."""
    workspace: Workspace = context.obj
    embeddings.read_manifest(workspace, dataset, version)
    if not yes:
        raise ConfigError(
            f"removing embedding version {version!r} of {dataset!r} cannot be undone; "
            "say --yes to remove it."
        )
    folder = workspace.embeddings / dataset / version
    link = f"; it was a link, {folder.resolve()} stays" if folder.is_symlink() else ""
    embeddings.remove(workspace, dataset, version, force)
    typer.echo(f"removed embedding version {version} of {dataset}{link}")


def repetition(manifest: VersionManifest) -> list[str]:
    """How redundant the targets of a training on users' lines were; empty: of no such training."""
    told = manifest.provenance
    if "repeated_targets" not in told:
        return []
    return [
        f"{_share(told['repeated_targets'])} repeat one of the same user; "
        f"{_share(told['reversed_pairs'])} of the pairs with a click before are trained the other "
        "way round too"
    ]


def zero_vectors(manifest: VersionManifest) -> str:
    """How many vectors had no direction; empty: all had one."""
    count = manifest.zero_vectors
    return f"{count:,}, whose items count as items without a vector" if count else ""


def _quality(log: Impressions, table: EmbeddingTable, brief: bool = False) -> list[tuple[str, str]]:
    """The measures in words; `brief`: as columns of a table."""
    from ctrbench.quality import quality

    categories = [f.name for f in log.manifest.fields if f.of == "item" and f.size]
    category = log.item_fields[categories[0]] if categories else None
    found = quality(table, log, category)

    def number(value: float | None, form: str = ".4f") -> str:
        return "–" if value is None else format(value, form)

    same = "–" if found.same_category is None else _share(found.same_category)
    chance = "" if found.by_chance is None or brief else f", by chance {_share(found.by_chance)}"
    named = categories[0] if categories else "category"
    return [
        ("SimScore AUC", number(found.sim_auc)),
        ("SimScore GAUC", number(found.sim_gauc)),
        (f"same {named}", f"{same}{chance}" if brief else f"{same} of the ten nearest{chance}"),
        ("alignment", number(found.alignment, ".3f")),
        ("uniformity", number(found.uniformity, ".2f")),
        ("effective rank", number(found.effective_rank, ".1f")),
        ("mean cosine", number(found.mean_cosine, ".3f")),
    ]


def _fitting(log: Impressions) -> embeddings.Fitting:
    period = log.fitting_period
    return embeddings.Fitting(period, impressions.items_in_period(log, period))


def _announce(manifest: VersionManifest, new: bool) -> None:
    what = "added" if new else "already there with the same content:"
    typer.echo(
        f"{what} {manifest.name} of {manifest.dataset}: {manifest.items_with_vector:,} vectors of "
        f"width {manifest.width}, {manifest.dtype}"
    )
    if manifest.zero_vectors:
        typer.echo(f"zero vectors: {zero_vectors(manifest)}")


def _origin(manifest: VersionManifest) -> str:
    """Where the vectors come from, in one line."""
    told = manifest.provenance
    if told["method"] == "file":
        kept = f"{told['appended_to']} and " if "appended_to" in told else ""
        return f"{kept}{told['file']}, {told['rows']:,} rows"
    settings = ", ".join(f"{key} {value}" for key, value in told["settings"].items())
    if "training" in told:
        source = told.get("from_version") or f"pictures by {told['encoder']}"
        return (
            f"{told['method']} on {source} ({settings}), {told['training']['epochs']} epochs over "
            f"{told['fit_items']:,} items of the {told['fit_period']} period"
        )
    explained = told.get("explained_variance")
    kept = f", keeps {_share(explained)} of their variance" if explained is not None else ""
    return (
        f"{told['parent']} by {told['method']}{f' ({settings})' if settings else ''}, fitted on "
        f"{told['fit_items']:,} items of the {told['fit_period']} period{kept}"
    )


def _collapsed(manifest: VersionManifest) -> list[tuple[str, str]]:
    """Why all items look alike, if training ended so."""
    reason = manifest.provenance.get("collapsed")
    return [] if reason is None else [("collapsed", reason)]


def _marked(workspace: Workspace, dataset: str, version: str) -> str:
    """The version's name, and whether it collapsed."""
    collapsed = _collapsed(embeddings.read_manifest(workspace, dataset, version))
    return f"{version} (collapsed)" if collapsed else version


def _norms(facts: embeddings.Statistics) -> str:
    if facts.norms is None:
        return "–"
    return "min {:.4g}, median {:.4g}, max {:.4g}".format(*facts.norms)


def _cosine(facts: embeddings.Statistics) -> str:
    if facts.mean_cosine is None:
        return "–"
    if facts.mean_cosine <= embeddings.LARGE_COSINE:
        return f"{facts.mean_cosine:.3f} (of two items drawn at random)"
    return (
        f"{facts.mean_cosine:.3f}: vectors share a large common direction; "
        "`ctrbench embeddings derive center` removes it"
    )


def _duplicates(facts: embeddings.Statistics) -> str:
    if not facts.duplicates:
        return "no two items share a vector"
    return (
        f"{facts.duplicates:,} items share a vector with another (distinct vectors: "
        f"{facts.duplicate_vectors:,}, largest group: {facts.largest_group:,})"
    )


def _unmatched(manifest: VersionManifest, raw_ids: Sequence[str]) -> str:
    if not manifest.unmatched_ids:
        return "none"
    return (
        f"{manifest.unmatched_ids:,} of the file that match no item of the data set, such as "
        f"{embeddings.pairs(manifest.unmatched_examples, raw_ids)}"
    )


def _period(covered: embeddings.Coverage) -> tuple[str, ...]:
    targets = f"{covered.impressions:,}", _share(covered.targets, covered.impressions)
    slots = f"{covered.slots:,}", _share(covered.slots_with_vector, covered.slots)
    return f"  {covered.period}", *targets, *slots


def _share(part: float, whole: float = 1) -> str:
    return embeddings.percent(part / whole) if whole else "–"


def _table(rows: Iterable[tuple[str, ...]]) -> None:
    """Print rows in aligned columns, numbers to the right."""
    lines = list(rows)
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        cells = (
            cell.rjust(width) if NUMBER.fullmatch(cell) else cell.ljust(width)
            for cell, width in zip(line, widths, strict=True)
        )
        typer.echo("  ".join(cells).rstrip())
