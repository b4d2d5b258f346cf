"""Compares the claims of the COURIER paper with our results: results/courier.md.

`python -m benchmarks.courier.page --movielens HOME --taste HOME` reads the stored records
of both matrices and compares arms, paired by seed. A claim holds if the interval of its comparison
lies above zero, and is reversed if it lies below; otherwise there is no significant difference.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from benchmarks.shared import markdown_row
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
    """A claim of the paper: in each pair the first arm is better."""

    text: str
    pairs: dict[str, tuple[tuple[str, str], ...]]  # data set -> (better, worse)


@dataclass(frozen=True)
class Home:
    """The matrix of a data set with its stored records."""

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
        "COURIER's vectors are better than its input vectors after centring",
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
        "A projection head hurts, especially under SimScore and Cluster ID",
        dict.fromkeys(DATA, _by_mode("courier", "courier-projection")),
    ),
    Claim(
        "Self-attention is worse than cross-attention",
        dict.fromkeys(DATA, _by_mode("courier", "courier-token")),
    ),
    Claim(
        "Random masking is worse than using each click once",
        dict.fromkeys(DATA, _by_mode("courier", "courier-mask")),
    ),
)


def main() -> None:
    """Compare the arms and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--movielens", type=Path, required=True, help="workspace")
    parser.add_argument("--taste", type=Path, required=True, help="workspace")
    given = parser.parse_args()
    homes = {
        "movielens": _home("movielens", given.movielens),
        "taste": _home("taste", given.taste),
    }
    lines = [
        "# COURIER's tables and ours",
        "",
        f"Made by `benchmarks/courier/page.py` on {date.today()}; do not edit. Versions, commands "
        "and settings: [benchmarks/courier/](../benchmarks/courier/README.md). The full tables, "
        "with simultaneous verdicts: "
        "[courier-movielens.markdown](tables/courier-movielens.markdown), "
        "[courier-taste.markdown](tables/courier-taste.markdown). Numbers are percentage points. "
        "The paper uses the log of a production system and vectors trained on 48 GPUs: signs and "
        "orders are comparable, sizes are not.",
        "",
        "## Which claims hold",
        "",
        "GAUC on test, the arm that the paper calls better minus the other. Intervals are "
        "pointwise 95 % confidence intervals that account for user and seed variance: one in "
        "twenty excludes zero by chance.",
        "",
        "| claim of the paper | data | comparison | GAUC, pp | AUC, pp | result |",
        "|---|---|---|---:|---:|---|",
        *(row for claim in CLAIMS for row in _rows(claim, homes)),
        "",
        "## Table 1",
        "",
        "AUC against the baseline. The paper does not describe its versions V1 to V9 further.",
        "",
        "| | version | vector | sim_score | cluster_id |",
        "|---|---|---:|---:|---:|",
        *(_row("paper", name, values) for name, values in SEED_TABLE_1.items()),
        *(_row(name, row, values) for name in homes for row, values in _table(name, "auc")),
        "",
        "## The part due to image content",
        "",
        "GAUC, pp: each version minus its shuffled sibling, the same vectors permuted over items "
        "(on MovieLens among films whose posters have the same source), with pointwise 95 % "
        "confidence intervals. The full tables contain the deltas against the baseline.",
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
        "The paper does not state the mode of its table 2. The values are shown under Cluster ID, "
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
    """Return one row per comparison of a claim; only the first contains the text."""
    rows, text = [], claim.text
    for name, pairs in claim.pairs.items():
        for better, worse in pairs:
            home = homes[name]
            ours, theirs = (matrix_arm(home.matrix, home.records, a) for a in (better, worse))
            found = [compare_arms(home.workspace, ours, theirs, metric) for metric in METRICS]
            intervals = [_interval(one.inference) for one in found]
            verdict = _verdict(found[0].inference)
            rows.append(markdown_row([text, name, f"{better} − {worse}", *intervals, verdict]))
            text = ""
    return rows


def _interval(found: Inference) -> str:
    return f"{100 * found.estimate:+.2f} [{100 * found.low:+.2f}, {100 * found.high:+.2f}]"


def _verdict(found: Inference) -> str:
    if found.low > 0:
        return "holds"
    return "reversed" if found.high < 0 else "no significant difference"


def _table(name: str, metric: str) -> list[tuple[str, tuple[float | None, ...]]]:
    """Return the deltas against the baseline by version, in the order of `MODES`."""
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
    """Return one row per version: deltas against the shuffled sibling with intervals."""
    text = (RESULTS / "tables" / f"courier-{name}.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, str]] = {}
    for row in json.loads(text)["rows"]:
        if (row["metric"], row["slice"], row["comparison"]) == ("gauc", "", "shuffled"):
            interval = f"[{row['low_pp']:+.2f}, {row['high_pp']:+.2f}]"
            found.setdefault(row["row"], {})[row["column"]] = f"{row['delta_pp']:+.2f} {interval}"
    return [
        markdown_row([name, version, *(by_mode[mode] for mode in MODES)])
        for version, by_mode in found.items()
    ]


def _collapsed(homes: dict[str, Home]) -> list[str]:
    """Return a paragraph that lists collapsed versions; empty if there are none."""
    found = []
    for name, home in homes.items():
        for version in home.matrix.file.versions:
            facts = embeddings.read_manifest(home.workspace, name, version).provenance
            rank, cosine = facts.get("effective_rank"), facts.get("mean_cosine")
            if rank is None or cosine is None:
                continue
            if rank < COLLAPSED_RANK or cosine > COLLAPSED_COSINE:
                found.append(f"{version} ({name}: {rank:.1f} dimensions, cosine {cosine:.3f})")
    if not found:
        return []
    return [
        "**Collapsed** versions, which are compared nevertheless (effective rank, mean cosine): "
        f"{', '.join(found)}.",
        "",
    ]


def _row(where: str, version: str, values: tuple[float | None, ...]) -> str:
    return markdown_row(
        [where, version, *("–" if value is None else f"{value:+.2f}" for value in values)]
    )


if __name__ == "__main__":
    main()
