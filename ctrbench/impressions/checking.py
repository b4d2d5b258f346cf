"""Guards of a stored data set: they find faults that bias or weaken its results."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np

from ctrbench.impressions.columns import content_hash, load, strings
from ctrbench.impressions.history_guards import later_clicks
from ctrbench.impressions.opening import (
    derived_arrays,
    field_values,
    items_with_image,
    open_impressions,
)
from ctrbench.impressions.padding import PADDED, find_padding
from ctrbench.impressions.period_guards import labels, shared_rows
from ctrbench.impressions.periods import (
    count_targets,
    count_users,
    evaluable_groups,
    items_in_period,
)
from ctrbench.impressions.row_guards import (
    duplicates,
    ids,
    overlap,
    strictly_before,
    time_order,
)
from ctrbench.impressions.target_guards import own_target
from ctrbench.impressions.unseen import unseen_values
from ctrbench.printable import counted
from ctrbench.schema import DatasetManifest, Guard, Impressions
from ctrbench.workspace import Workspace

FEW_USERS = 100  # evaluable test users below which GAUC is imprecise
LOW_COVERAGE = 0.9  # of impressions whose item has an image
ROW_GUARDS = (time_order, overlap, shared_rows, labels, strictly_before, own_target, duplicates)


def check(workspace: Workspace, name: str) -> list[Guard]:
    """Return the outcome of every guard for a stored data set, computed from its rows.

    Args:
        workspace: Where the data set is stored.
        name: The name of the data set.

    Raises:
        UnknownNameError: The data set does not exist.
        StoreError: A table is damaged.
    """
    impressions = open_impressions(workspace, name)
    manifest = impressions.manifest
    stored = content_hash(
        workspace.data / name, load(derived_arrays(workspace, manifest)), manifest
    )
    found = [_content(stored, manifest), ids(impressions)]
    if found[-1].outcome == "error":  # the other guards index by id
        return found
    found += [guard(impressions) for guard in (*ROW_GUARDS, _unlisted)]
    if manifest.history == "given":
        found.append(later_clicks(impressions))
    found.append(_padding(impressions, workspace.data / name))
    found += _users(impressions) + _unseen(impressions)
    return [*found, _images(impressions, items_with_image(workspace, name))]


def findings(impressions: Impressions, tables: Path) -> tuple[str, ...]:
    """Return the faults that an import found, one sentence each; comparison tables print them.

    Args:
        impressions: The data set as just written.
        tables: Its folder.
    """
    found = [shared_rows(impressions), labels(impressions), _padding(impressions, tables)]
    if impressions.manifest.history == "given":
        target = own_target(impressions)
        found.append(later_clicks(impressions))
        found += [target] * (target.outcome == "error")  # a warning may be repeated clicks
    messages = [guard.message for guard in found if guard.outcome != "ok"]
    return tuple(f"{message[0].upper()}{message[1:]}." for message in messages)


def _padding(impressions: Impressions, tables: Path) -> Guard:
    """Check whether given histories or lists seem to be padded."""
    name, messages = "padding", []
    for found in find_padding(impressions):
        where = f"lists of '{found.field}'" if found.field else "given histories"
        if found.field:
            value = field_values(tables, found.field)[found.code - 1]
        else:
            value = next(islice(strings(tables / "items.parquet", "raw_id"), found.code - 1, None))
        messages.append(
            f"{value} begins or ends more than {100 * PADDED:g} % of the {where}; if it is "
            f"padding, import the log again with --pad {value}"
        )
    if messages:
        return Guard(name, "warning", ". ".join(messages))
    return Guard(name, "ok", "no value looks like padding")


def _content(stored: str, manifest: DatasetManifest) -> Guard:
    """Check that the content is unchanged since the import."""
    if stored != manifest.content_hash:
        message = f"damaged: the hash of the rows is {stored}, not {manifest.content_hash}"
        return Guard("content", "error", message)
    return Guard("content", "ok", f"as imported, {stored}")


def _unlisted(impressions: Impressions) -> Guard:
    """Check whether items of the log are missing from the items file."""
    counts, name = impressions.manifest.counts, "ids without items"
    if "items_unlisted" not in counts:
        return Guard(name, "ok", "no items file was given; the items are the ids of the log")
    missing = counts["items_unlisted"]
    message = f"{missing} of {counts['items']} items have no row in the items file"
    return Guard(name, "warning" if missing else "ok", message)


def _users(impressions: Impressions) -> list[Guard]:
    """Check how many users and evaluation groups have both labels."""
    guards, groups = [], "users" if impressions.group is None else "groups"
    for period in ("valid", "test"):
        users, carries = evaluable_groups(impressions, impressions.rows(period))
        alone = int(np.count_nonzero(~carries))
        message = f"{alone} of {len(carries)} {period} {groups} have one class only"
        outcome = "warning" if alone > len(carries) / 2 else "ok"
        guards.append(Guard(f"one-class {groups}", outcome, f"{message}; GAUC excludes them"))
        evaluable = len(np.unique(users[carries]))
        outcome = "ok" if evaluable >= FEW_USERS else "warning"
        if period == "test" and not evaluable:
            outcome = "error"
        advice = "" if outcome == "ok" else f"; with fewer than {FEW_USERS}, GAUC is imprecise"
        group = " in one group" if impressions.group is not None else ""
        having = counted(evaluable, f"{period} user has", f"{period} users have")
        message = f"{having} both a click and a non-click{group}{advice}"
        guards.append(Guard("evaluable users", outcome, message))
    return guards


def _unseen(impressions: Impressions) -> list[Guard]:
    """Check the share of users and items of each period that are not in train."""
    train = impressions.rows("train")
    known_users = count_users(impressions, train)[0] > 0
    known_items = count_targets(impressions, train) > 0
    guards = []
    for period in ("valid", "test"):
        rows = impressions.rows(period)
        total = rows.stop - rows.start
        counts = (count_users(impressions, rows)[0], known_users, "users")
        for shown, known, kind in (
            counts,
            (count_targets(impressions, rows), known_items, "items"),
        ):
            new = (shown > 0) & ~known
            share = shown[new].sum() / total
            message = (
                f"{period}: {np.count_nonzero(new)} of {np.count_nonzero(shown)} {kind} are not in "
                f"train ({100 * share:.1f} % of its impressions)"
            )
            guards.append(Guard(f"unseen {kind}", "warning" if share > 0.5 else "ok", message))
    return [*guards, *_unseen_values(impressions)]


def _unseen_values(impressions: Impressions) -> list[Guard]:
    """Check the share of impressions of valid and test with field values unseen in train."""
    found = {name: one for name, one in unseen_values(impressions).items() if one.values}
    if not found:
        return [Guard("unseen values", "ok", "every value of the fields is in train")]
    sizes = {field.name: field.size for field in impressions.manifest.fields}
    guards = []
    for name, one in found.items():
        shares = ", ".join(
            f"{100 * share:.1f} % of {period}'s impressions" for period, share in one.shares.items()
        )
        message = f"{name}: {one.values} of {sizes[name]} values are not in train ({shares})"
        outcome = "warning" if max(one.shares.values()) > 0.5 else "ok"
        guards.append(Guard("unseen values", outcome, message))
    return guards


def _images(impressions: Impressions, has_image: np.ndarray) -> Guard:
    """Check the share of items and impressions that have an image."""
    name = "coverage of images"
    if not impressions.manifest.has_images:
        return Guard(name, "ok", "no images were given")
    parts, lowest = [], 1.0
    for period in impressions.manifest.periods:
        shown = count_targets(impressions, impressions.rows(period))
        share = float(shown[has_image].sum() / shown.sum())
        lowest = min(lowest, share)
        parts.append(f"{period} {100 * share:.1f} %")
    fitting = items_in_period(impressions, impressions.fitting_period)
    items = f"{np.count_nonzero(has_image)} of {impressions.item_rows - 1} items"
    fit = f"{np.count_nonzero(has_image & fitting)} of the fitting period's {fitting.sum()}"
    outcome = "ok" if lowest >= LOW_COVERAGE else "warning"
    return Guard(name, outcome, f"{items} have one, {fit}; of the impressions: {', '.join(parts)}")
