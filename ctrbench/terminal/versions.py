"""Embedding versions on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ctrbench import embeddings
from ctrbench.embeddings import Coverage, Statistics
from ctrbench.printable import counted
from ctrbench.schema import VersionManifest
from ctrbench.terminal._tables import aligned
from ctrbench.terminal.output import echo

if TYPE_CHECKING:
    from ctrbench.embeddings.outcomes import AddedVersion, DerivedVersion, PretrainedVersion
    from ctrbench.quality import Quality
    from ctrbench.version_facts import QualityTable, VersionFacts

SHOWN = 5  # maximum number of listed pictures that cannot be decoded


def show_list(manifests: Sequence[VersionManifest]) -> None:
    """Print a row per vector field of each version."""
    if not manifests:
        echo("no embedding versions yet; `ctrbench embeddings add` adds one.")
        return
    rows = [
        (
            m.dataset,
            whole.reference(field),
            f"{m.width}",
            m.dtype,
            f"{m.items_with_vector:,}",
            _origin(m),
        )
        for whole in manifests
        for field in whole.field_names
        for m in [whole.of(field)]
    ]
    echo(aligned([("data set", "version", "width", "type", "items", "made from"), *rows]))


def show(found: VersionFacts) -> None:
    """Print the provenance, statistics, quality and coverage of one vector field."""
    manifest = found.manifest
    reason = manifest.provenance.get("collapsed")
    echo(f"{manifest.name} of {manifest.dataset}")
    lines = [
        ("vector field", manifest.field),
        *_content(found),
        ("unmatched ids", _unmatched(manifest, found.unmatched)),
        ("made from", _origin(manifest)),
        *[("file", note) for note in manifest.provenance.get("notes", ())],
        *[("targets", text) for text in repetition(manifest)],
        *([] if reason is None else [("collapsed", reason)]),
        ("added", f"{manifest.created}, ctrbench {manifest.ctrbench_version}"),
        ("content", manifest.content_hash),
    ]
    echo(aligned((f"  {label}", text) for label, text in lines))
    if found.quality is not None:
        echo("\nIntrinsic quality, without a CTR model (unit vectors; clicks of the valid period)")
        known = _quality(found.quality, found.category)
        echo(aligned((f"  {label}", text) for label, text in known))
    holds = "vector" if found.codes is None else "codes"
    article = "a " if found.codes is None else ""
    echo(f"\nShare with {article}{holds}, by period (of a history, its latest 50 items)")
    heading = "  period", "impressions", f"with {holds}", "history slots", f"with {holds}"
    echo(aligned([heading, *map(_period, found.coverage)]))


def _content(found: VersionFacts) -> list[tuple[str, str]]:
    """Return the statistics of the vectors or codes as text."""
    manifest, facts = found.manifest, found.statistics
    if facts is not None:
        return [
            ("vectors", f"{facts.items_with_vector:,} of width {manifest.width}, {manifest.dtype}"),
            ("norms", _norms(facts)),
            ("mean cosine", _cosine(facts)),
            ("duplicates", _duplicates(facts)),
            ("zero vectors", _zero_vectors(manifest) or "none"),
            ("coverage", f"{_share(facts.items_with_vector, facts.items)} of the items"),
        ]
    codes = found.codes or {}
    levels = [
        (
            f"level {level}",
            f"{count:,} codes, {codes[f'code_entropy_bits_{level}']:.1f} bits, the most frequent "
            f"for {_share(codes[f'largest_code_{level}'])} of the items",
        )
        for level, count in enumerate(manifest.code_counts, start=1)
    ]
    return [
        ("codes", f"{manifest.width} per item, of {manifest.items_with_vector:,} items"),
        *levels,
        ("collisions", f"{_share(codes['collisions'])} of the items share all codes with another"),
    ]


def show_quality(found: QualityTable) -> None:
    """Print a row per version, and the overlap of each pair."""
    if not found.versions:
        echo(f"no versions of {found.dataset} yet; `ctrbench embeddings add` adds one.")
        return
    rows = []
    for one in found.versions:
        mark = "" if one.collapsed is None else " (collapsed)"
        texts = [text for _, text in _quality(one.quality, found.category, brief=True)]
        rows.append((f"{one.version}{mark}", *texts))
    first = found.versions[0].quality
    heading = [label for label, _ in _quality(first, found.category, brief=True)]
    echo(aligned([("version", *heading), *rows]))
    names = [one.version for one in found.versions]
    if len(names) > 1:
        echo("\nShare of the ten nearest items in common")
        shares = {(one.one, one.two): one.share for one in found.overlaps}
        shares |= {(two, one): share for (one, two), share in shares.items()}
        shares |= {(name, name): 1.0 for name in names}
        rows = [
            (f"  {one}", *(_optional_share(shares[one, two]) for two in names)) for one in names
        ]
        echo(aligned([("  version", *names), *rows]))


def show_version(found: AddedVersion) -> None:
    """Print a version that was added, one vector field after the other."""
    for field in found.fields:
        show_added(field.manifest, field.reference, field.new, field.coverage)
        if field.manifest.unmatched_ids:
            show_unmatched(field.manifest, field.unmatched)


def show_added(
    manifest: VersionManifest, reference: str, new: bool, coverage: embeddings.Shares
) -> None:
    """Print a version, or one vector field of it, that was added from a file.

    Args:
        manifest: The manifest of the version or of the field.
        reference: The text that names it.
        new: Whether it is new; otherwise it existed with the same content.
        coverage: Its coverage of the data set.
    """
    echo(f"with {'a vector' if manifest.kind == 'vectors' else 'codes'}: {coverage}")
    _announce(manifest, reference, new)
    for note in manifest.provenance.get("notes", ()):
        echo(note)
    merged = manifest.provenance.get("merged_duplicates", 0)
    if merged:
        echo(f"rows that repeat a vector, merged: {merged:,}")


def show_unmatched(manifest: VersionManifest, examples: str) -> None:
    """Print the number of ids of a file that match no item, with examples.

    Args:
        manifest: The manifest of the version.
        examples: Some of these ids.
    """
    echo(f"unmatched ids: {_unmatched(manifest, examples)}")


def show_trained(found: PretrainedVersion) -> None:
    """Print a version that was pre-trained."""
    show_pretrained(found.manifest, found.new)


def show_all_trained(found: Sequence[PretrainedVersion]) -> None:
    """Print the versions of a grid."""
    for version in found:
        show_trained(version)


def show_made(found: DerivedVersion) -> None:
    """Print a version that was derived."""
    show_derived(found.manifest, found.reference, found.new)


def show_derived(manifest: VersionManifest, reference: str, new: bool) -> None:
    """Print a derived version, or the derived vector field of a version.

    Args:
        manifest: The manifest of the new version or field.
        reference: The text that names it.
        new: Whether the version is new; otherwise it existed with the same content.
    """
    _announce(manifest, reference, new)
    echo(f"made from: {_origin(manifest)}")


def show_pretrained(manifest: VersionManifest, new: bool) -> None:
    """Print a pre-trained version.

    Args:
        manifest: The manifest of the version.
        new: Whether the version is new; otherwise it existed with the same settings.
    """
    facts = manifest.provenance
    what = "added" if new else "already exists, trained with the same settings:"
    echo(
        f"{what} {manifest.name} of {manifest.dataset}: {manifest.items_with_vector:,} vectors "
        f"of width {manifest.width}, {facts['effective_rank']:.0f} dimensions in use; "
        f"trained {facts['seconds']:,.0f} s on {facts['fit_items']:,} items of the "
        f"{facts['fit_period']} period"
    )
    for each in repetition(manifest):
        echo(f"targets: {each}")
    if "collapsed" in facts:
        echo(f"{manifest.name} collapsed: {facts['collapsed']}")


def show_unusable(unusable: Mapping[str, str]) -> None:
    """Print on stderr the first pictures that cannot be decoded.

    Args:
        unusable: Problem by file name; may be empty.
    """
    if unusable:
        listed = list(unusable.items())[:SHOWN]
        named = "; ".join(f"{name}: {problem}" for name, problem in listed)
        more = ", …" if len(unusable) > len(listed) else ""
        echo(f"{counted(len(unusable), 'image')} ignored ({named}{more})", err=True)


def repetition(manifest: VersionManifest) -> list[str]:
    """Return a sentence on repeated targets of a training on click histories; else nothing."""
    made = manifest.provenance
    if "repeated_targets" not in made:
        return []
    return [
        f"{_share(made['repeated_targets'])} repeat another of the same user; "
        f"{_share(made['reversed_pairs'])} of the pairs with an earlier click also occur in reverse"
    ]


def _announce(manifest: VersionManifest, reference: str, new: bool) -> None:
    what = "added" if new else "already exists with the same content:"
    made = counted(manifest.items_with_vector, "vector")
    made += f" of width {manifest.width}, {manifest.dtype}"
    if manifest.kind == "codes":
        counts = " x ".join(f"{count:,}" for count in manifest.code_counts)
        made = counted(manifest.items_with_vector, "item")
        made += f" with {manifest.width} code(s), {counts} distinct"
    echo(f"{what} {reference} of {manifest.dataset}: {made}")
    if manifest.zero_vectors:
        echo(f"zero vectors: {_zero_vectors(manifest)}")


def _zero_vectors(manifest: VersionManifest) -> str:
    """Return how many vectors are zero; empty if none is."""
    count = manifest.zero_vectors
    return f"{count:,}, whose items count as items without a vector" if count else ""


def _quality(found: Quality, category: str | None, brief: bool = False) -> list[tuple[str, str]]:
    """Return the measures as text; `brief` for the columns of a table."""

    def number(value: float | None, form: str = ".4f") -> str:
        return "–" if value is None else format(value, form)

    same = _optional_share(found.same_category)
    chance = "" if found.by_chance is None or brief else f", by chance {_share(found.by_chance)}"
    return [
        ("SimScore AUC", number(found.sim_auc)),
        ("SimScore GAUC", number(found.sim_gauc)),
        (
            f"same {category or 'category'}",
            f"{same}{chance}" if brief else f"{same} of the ten nearest{chance}",
        ),
        ("alignment", number(found.alignment, ".3f")),
        ("uniformity", number(found.uniformity, ".2f")),
        ("effective rank", number(found.effective_rank, ".1f")),
        ("mean cosine", number(found.mean_cosine, ".3f")),
    ]


def _origin(manifest: VersionManifest) -> str:
    """Return the provenance of the vectors in one line."""
    made = manifest.provenance
    if made["method"] == "file":
        kept = f"{made['appended_to']} and " if "appended_to" in made else ""
        return f"{kept}{made['file']}, {made['rows']:,} rows"
    settings = ", ".join(f"{key} {value}" for key, value in made["settings"].items())
    if "training" in made:
        source = made.get("from_version") or f"pictures by {made['encoder']}"
        return (
            f"{made['method']} on {source} ({settings}), {made['training']['epochs']} epochs over "
            f"{made['fit_items']:,} items of the {made['fit_period']} period"
        )
    explained = made.get("explained_variance")
    kept = f", keeps {_share(explained)} of their variance" if explained is not None else ""
    return (
        f"{made['parent']} by {made['method']}{f' ({settings})' if settings else ''}, fitted on "
        f"{made['fit_items']:,} items of the {made['fit_period']} period{kept}"
    )


def _norms(facts: Statistics) -> str:
    if facts.norms is None:
        return "–"
    return "min {:.4g}, median {:.4g}, max {:.4g}".format(*facts.norms)


def _cosine(facts: Statistics) -> str:
    if facts.mean_cosine is None:
        return "–"
    if facts.mean_cosine <= embeddings.LARGE_COSINE:
        return f"{facts.mean_cosine:.3f} (of two items drawn at random)"
    return (
        f"{facts.mean_cosine:.3f}: vectors share a large common direction; "
        "`ctrbench embeddings derive center` removes it"
    )


def _duplicates(facts: Statistics) -> str:
    if not facts.duplicates:
        return "no two items share a vector"
    return (
        f"{facts.duplicates:,} items share a vector with another (distinct vectors: "
        f"{facts.duplicate_vectors:,}, largest group: {facts.largest_group:,})"
    )


def _unmatched(manifest: VersionManifest, examples: str) -> str:
    if not manifest.unmatched_ids:
        return "none"
    return (
        f"{manifest.unmatched_ids:,} of the file that match no item of the data set, such as "
        f"{examples}"
    )


def _period(covered: Coverage) -> tuple[str, ...]:
    targets = f"{covered.impressions:,}", _share(covered.targets, covered.impressions)
    slots = f"{covered.slots:,}", _share(covered.slots_with_vector, covered.slots)
    return f"  {covered.period}", *targets, *slots


def _optional_share(share: float | None) -> str:
    return "–" if share is None else _share(share)


def _share(part: float, whole: float = 1) -> str:
    return embeddings.percent(part / whole) if whole else "–"
