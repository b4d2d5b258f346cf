"""The seed paper's claims beside what came out here: results/courier.md.

`python benchmarks/courier/page.py --movielens HOME --taste HOME` reads the stored records of both
matrices and sets arms against each other, seed by seed; a claim holds where the interval of its
comparison lies above zero, fails where it lies below, and else the data cannot tell.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from ctrbench import embeddings
from ctrbench.analysis.two_arms import compare_arms, matrix_arm
from ctrbench.matrix import read_matrix
from ctrbench.plan import Matrix
from ctrbench.pretraining.running import COLLAPSED_COSINE, COLLAPSED_RANK
from ctrbench.runner import complete, stored_records
from ctrbench.schema import CellRecord
from ctrbench.stats import Inference
from ctrbench.workspace import Workspace

HERE = Path(__file__).resolve().parent
RESULTS = HERE.parents[1] / "results"
MODES = ("vector", "sim_score", "cluster_id")
METRICS = ("gauc", "auc")
# Yang et al. 2023, appendix, table 1: AUC against the baseline, pp; no cluster ids from V5 on
SEED_TABLE_1 = {
    "V1": (0.07, 0.14, 0.23),
    "V2": (0.08, 0.16, 0.23),
    "V3": (0.09, 0.18, 0.28),
    "V4": (0.06, 0.16, 0.22),
    "V5": (0.00, 0.11, None),
    "V6": (-0.02, 0.07, None),
    "V7": (-0.04, -0.01, None),
    "V8": (0.04, 0.13, None),
    "V9": (0.05, 0.09, None),
}
# table 2: AUC on women's clothing, AUC, GAUC, pp
SEED_TABLE_2 = {"with projection": (0.29, 0.06, -0.04), "COURIER": (0.46, 0.16, 0.19)}


@dataclass(frozen=True)
class Claim:
    """One comparison on a data set: the first arm is said to be the better one."""

    text: str
    pairs: dict[str, tuple[tuple[str, str], ...]]  # data set -> (better, worse)


@dataclass(frozen=True)
class Home:
    """A data set's matrix with its stored records."""

    workspace: Workspace
    matrix: Matrix
    records: dict[str, CellRecord]


DATA = ("movielens", "taste")


def _by_mode(better: str, worse: str) -> tuple[tuple[str, str], ...]:
    return tuple((f"{better}/{mode}", f"{worse}/{mode}") for mode in MODES)


CLAIMS = (
    Claim(
        "SimScore gains more than Vector",
        {
            "movielens": (("courier/sim_score", "courier/vector"),),
            "taste": (
                ("courier/sim_score", "courier/vector"),
                ("oracle/sim_score", "oracle/vector"),
            ),
        },
    ),
    Claim(
        "Cluster ID gains more than SimScore",
        {
            "movielens": (("courier/cluster_id", "courier/sim_score"),),
            "taste": (
                ("courier/cluster_id", "courier/sim_score"),
                ("oracle/cluster_id", "oracle/sim_score"),
            ),
        },
    ),
    Claim(
        "COURIER's vectors are better than those it starts from, the mean taken out as it does",
        {
            "movielens": _by_mode("courier", "centred"),
            "taste": _by_mode("courier", "simclr-centred"),
        },
    ),
    Claim(
        "COURIER's vectors are better than those of plain click prediction",
        dict.fromkeys(DATA, _by_mode("courier", "supervised")),
    ),
    Claim("COURIER's vectors are better than CLIP's", {"movielens": _by_mode("courier", "clip")}),
    *(
        Claim(
            f"On pixels alone, COURIER's vectors are better than {method}'s",
            {"movielens": _by_mode("pixels-courier", f"pixels-{method.lower()}")},
        )
        for method in ("SimCLR", "SimSiam", "CLIP")
    ),
    Claim(
        "A projection head hurts, under SimScore and Cluster ID above all",
        dict.fromkeys(DATA, _by_mode("courier", "courier-projection")),
    ),
    Claim(
        "Self-attention is worse than cross-attention",
        dict.fromkeys(DATA, _by_mode("courier", "courier-token")),
    ),
    Claim(
        "Random masking is worse than each click once",
        dict.fromkeys(DATA, _by_mode("courier", "courier-mask")),
    ),
)


def main() -> None:
    """Compare and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="workspace")
    parser.add_argument("--taste", type=Path, required=True, help="workspace")
    given = parser.parse_args()
    homes = {
        "movielens": _home("movielens", given.movielens),
        "taste": _home("taste", given.taste),
    }
    lines = [
        "# COURIER's tables, beside what came out here",
        "",
        f"Made by `benchmarks/courier/page.py` on {date.today()}; do not edit. Versions, commands "
        "and settings: [benchmarks/courier/](../benchmarks/courier/README.md). The whole tables, "
        "with verdicts that hold for all comparisons together: "
        "[courier-movielens.markdown](tables/courier-movielens.markdown), "
        "[courier-taste.markdown](tables/courier-taste.markdown). Numbers are percentage points. "
        "The paper's are of a running system's log and of vectors of 48 GPUs: signs and orders can "
        "be compared, sizes cannot.",
        "",
        "## Which claims hold",
        "",
        "GAUC on test, the arm that is said to be better minus the other, with a 95 % interval for "
        "other users and other seeds, each by itself: with so many comparisons one in twenty "
        "leaves zero out by chance.",
        "",
        "| claim of the paper | data | compared | GAUC, pp | AUC, pp | here |",
        "|---|---|---|---:|---:|---|",
        *(row for claim in CLAIMS for row in _rows(claim, homes)),
        "",
        "## Table 1",
        "",
        "AUC against the baseline; the paper's V1 to V9 are versions of which it tells no more.",
        "",
        "| | version | vector | sim_score | cluster_id |",
        "|---|---|---:|---:|---:|",
        *(_row("paper", name, values) for name, values in SEED_TABLE_1.items()),
        *(_row(name, row, values) for name in homes for row, values in _table(name, "auc")),
        "",
        "## What of it is information in the images",
        "",
        "GAUC, pp: each version minus its shuffled sibling, the same vectors dealt out to other "
        "items (on MovieLens among films whose posters have the same source), with a 95 % "
        "interval, each by itself; the deltas against the baseline stand in the whole tables.",
        "",
        "| | version | vector | sim_score | cluster_id |",
        "|---|---|---:|---:|---:|",
        *(row for name in homes for row in _against_siblings(name)),
        "",
        "## Table 2: projection head by mode",
        "",
        "| | version | measure | vector | sim_score | cluster_id |",
        "|---|---|---|---:|---:|---:|",
        *(
            f"| paper, in its system | {name} | {measure} | | | {value:+.2f} |"
            for name, values in SEED_TABLE_2.items()
            for measure, value in zip(("AUC, women's clothing", "AUC", "GAUC"), values, strict=True)
        ),
        *(
            _row(name, f"{row} | {metric.upper()}", values)
            for name in homes
            for metric in METRICS
            for row, values in _table(name, metric)
            if row in ("courier", "courier-projection")
        ),
        "",
        *_collapsed(homes),
        "The paper does not say by which mode its table 2 was made; it stands under Cluster ID, "
        "the mode that it chose.",
    ]
    path = RESULTS / "courier.md"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))


def _home(name: str, folder: Path) -> Home:
    workspace = Workspace(folder)
    matrix = read_matrix(HERE / f"{name}.yaml", workspace)
    stored = stored_records(workspace, matrix.cells())
    return Home(workspace, matrix, complete(workspace, matrix, stored))


def _rows(claim: Claim, homes: dict[str, Home]) -> list[str]:
    """A row for every comparison of a claim; the claim's text in the first."""
    rows, text = [], claim.text
    for name, pairs in claim.pairs.items():
        for better, worse in pairs:
            home = homes[name]
            ours, theirs = (matrix_arm(home.matrix, home.records, a) for a in (better, worse))
            found = [compare_arms(home.workspace, ours, theirs, metric) for metric in METRICS]
            told = [_interval(one.inference) for one in found]
            told.append(_verdict(found[0].inference))
            rows.append(f"| {text} | {name} | {better} − {worse} | {' | '.join(told)} |")
            text = ""
    return rows


def _interval(found: Inference) -> str:
    return f"{100 * found.estimate:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def _verdict(found: Inference) -> str:
    if found.low > 0:
        return "holds"
    return "the other way round" if found.high < 0 else "cannot be told"


def _table(name: str, metric: str) -> list[tuple[str, tuple[float | None, ...]]]:
    """The deltas against the baseline, by version, in the order of `MODES`."""
    table = json.loads((RESULTS / "tables" / f"courier-{name}.json").read_text(encoding="utf-8"))
    rows = [
        row
        for row in table["rows"]
        if (row["metric"], row["slice"], row["comparison"]) == (metric, "", "baseline")
    ]
    versions = dict.fromkeys(row["row"] for row in rows if row["row"] != "Baseline")
    deltas = {(row["row"], row["column"]): row["delta_pp"] for row in rows}
    return [(version, tuple(deltas[version, mode] for mode in MODES)) for version in versions]


def _against_siblings(name: str) -> list[str]:
    """The deltas against the shuffled sibling, with their intervals."""
    text = (RESULTS / "tables" / f"courier-{name}.json").read_text(encoding="utf-8")
    told: dict[str, dict[str, str]] = {}
    for row in json.loads(text)["rows"]:
        if (row["metric"], row["slice"], row["comparison"]) == ("gauc", "", "shuffled"):
            interval = f"[{row['low_pp']:+.2f}, {row['high_pp']:+.2f}]"
            told.setdefault(row["row"], {})[row["column"]] = f"{row['delta_pp']:+.2f} {interval}"
    return [
        f"| {name} | {version} | {' | '.join(by_mode[mode] for mode in MODES)} |"
        for version, by_mode in told.items()
    ]


def _collapsed(homes: dict[str, Home]) -> list[str]:
    """Which learned versions hold next to nothing, whatever else is said of them."""
    found = []
    for name, home in homes.items():
        for version in home.matrix.file.versions:
            told = embeddings.read_manifest(home.workspace, name, version).provenance
            rank, cosine = told.get("effective_rank"), told.get("mean_cosine")
            if rank is None or cosine is None:
                continue
            if rank < COLLAPSED_RANK or cosine > COLLAPSED_COSINE:
                found.append(f"{version} ({name}: {rank:.1f} dimensions, cosine {cosine:.3f})")
    if not found:
        return []
    return [
        "**Collapsed**, and compared all the same (effective rank, and mean cosine of two items): "
        f"{', '.join(found)}.",
        "",
    ]


def _row(where: str, version: str, values: tuple[float | None, ...]) -> str:
    told = ("–" if value is None else f"{value:+.2f}" for value in values)
    return f"| {where} | {version} | {' | '.join(told)} |"


if __name__ == "__main__":
    main()
