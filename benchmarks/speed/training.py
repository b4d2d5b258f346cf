"""Training against the peers, in alternation, each in its best layout: two processes of one thread.

`python benchmarks/speed/training.py --root DIR` makes the log, imports it, sets up every peer in an
environment of its own below DIR, and then, `--repeats` times over, has one library after the other
train two seeds at once. It writes results/tables/speed_training.md and .json: samples/s of training
summed over the two, seconds from the start of the processes to stored predictions, and the ratios
to ctrbench, repeat by repeat.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

from watching import load, machine
from work import Work, import_log

HERE = Path(__file__).resolve().parent
TABLES = HERE.parents[1] / "results" / "tables"
PEERS = ("fuxictr", "deepctr_torch", "recbole")
ARMS_OF = {"fuxictr": ("none", "vector", "cluster_id")}  # the others: the baseline alone
MODES = ("vector", "sim_score", "cluster_id", "sim_tier", "sim_attention")
MODES += ("hash_id", "residual_id", "product_id", "id_init")
STAND_IN = {  # what no peer has stands beside its frozen vectors instead
    mode: "vector" for mode in MODES if mode not in ARMS_OF["fuxictr"]
}
AT_ONCE = 2  # processes, of one thread each


@dataclass(frozen=True)
class Run:
    """Two processes of one library, side by side."""

    library: str
    arm: str
    repeat: int
    measured: tuple[dict[str, Any], ...]  # what each printed

    @property
    def samples_per_s(self) -> float:
        """Of training alone, summed."""
        return sum(one["samples_per_s"] for one in self.measured)

    @property
    def whole_per_s(self) -> float:
        """Samples by the seconds from the start of the processes to stored predictions."""
        total_s = max(one["total_s"] for one in self.measured)
        return sum(one["rows"] for one in self.measured) / total_s


def main() -> None:
    """Prepare, alternate, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of everything")
    parser.add_argument("--impressions", type=int, default=Work.impressions)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--libraries", default=",".join(PEERS), help="those to run against")
    parser.add_argument("--arms", default=",".join(("none", *MODES)))
    given = parser.parse_args()
    libraries, before = given.libraries.split(","), load()
    root, name = prepared_root(given.root, Work(impressions=given.impressions))
    runs = []
    for arm in given.arms.split(","):
        sides = ["ctrbench", *(one for one in libraries if arm in ARMS_OF.get(one, ("none",)))]
        for side in sides:  # what is prepared once is prepared before the clock starts
            train_at_once(side, arm, root, name, seed=0)
        for repeat in range(given.repeats):
            for side in sides:
                measured = train_at_once(side, arm, root, name, seed=AT_ONCE * repeat)
                runs.append(Run(side, arm, repeat, measured))
                print(f"{arm}, {side}, {repeat}: {runs[-1].samples_per_s:,.0f}/s", flush=True)
        _write(
            _kept({run.arm for run in runs}, given.impressions) + runs, before, given.impressions
        )


def prepared_root(root: Path, work: Work) -> tuple[Path, str]:
    """The folder with the log imported and every peer's environment, and the data set's name."""
    root, name = root.resolve(), f"work_{work.impressions}"
    if work.items != Work.items:
        name += f"_{work.items}"
    if not (root / "data" / name).exists():
        root.mkdir(parents=True, exist_ok=True)
        import_log(work, root, name)
    environments = [sys.executable, str(HERE / "peers" / "environments.py")]
    subprocess.run([*environments, "--root", str(root / "environments")], check=True)
    return root, name


def train_at_once(
    library: str, arm: str, root: Path, name: str, seed: int, field: str = "category"
) -> tuple[dict[str, Any], ...]:
    """What two processes measured: `seed` and the next.

    Args:
        library: ctrbench, or a peer.
        arm: image information.
        root: folder of everything.
        name: of the data set.
        seed: of the first.
        field: of the items, that the model sees.
    """

    def train(one: int) -> dict[str, Any]:
        if library != "ctrbench":
            return run_peer(library, arm, root, root / f"{name}.log", root / "peers" / name, one)
        ours = [sys.executable, str(HERE / "ours.py"), "--home", str(root), "--dataset", name]
        return _run([*ours, "--arm", arm, "--seed", str(one), "--field", field])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(train, range(seed, seed + AT_ONCE)))


def run_peer(
    library: str, arm: str, root: Path, log: Path, work: Path, seed: int
) -> dict[str, Any]:
    """What a peer's adapter measured; on one thread, in its environment below root."""
    python = str(root / "environments" / library / "bin" / "python")
    folders = ["--log", str(log), "--work", str(work), "--threads", "1"]
    adapter = str(HERE / "peers" / f"run_{library}.py")
    return _run([python, adapter, *folders, "--arm", arm, "--seed", str(seed)])


def _run(command: list[str]) -> dict[str, Any]:
    """The JSON of the last line; one thread for every library that reads the environment."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    done = subprocess.run(
        command, env=os.environ | threads, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def stored() -> list[Run]:
    """The runs of the committed table."""
    path = TABLES / "speed_training.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [Run(**run | {"measured": tuple(run["measured"])}) for run in runs]


def _kept(arms: set[str], impressions: int) -> list[Run]:
    """Stored runs of the same size, of arms that were not run again."""
    return [
        run for run in stored() if run.arm not in arms and run.measured[0]["rows"] == impressions
    ]


def _write(runs: list[Run], before: str, impressions: int) -> None:
    lines = [
        f"{impressions:,} training impressions, one epoch; {AT_ONCE} processes of one thread, each "
        "with a seed of its own, summed. Median of alternating repeats, in brackets the range. "
        "Whole: from the start of the processes to "
        "stored predictions, what is prepared once set aside. Ratio: ctrbench over the library, "
        "repeat by repeat; a mode that no library has stands beside its frozen vectors, (vector), "
        "by medians, since these were not timed in alternation with it.",
        "",
        _worst(runs),
        "",
        f"{date.today()}, {machine()}, load before the first run {before}. Made by "
        "`benchmarks/speed/training.py`; do not edit.",
        "",
        "| image information | library | repeats | samples/s training | ratio | samples/s whole | "
        "ratio | peak memory, MB | prepared once, s |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for arm in dict.fromkeys(run.arm for run in runs):
        ours = [run for run in runs if (run.arm, run.library) == (arm, "ctrbench")]
        beside = STAND_IN.get(arm, arm)
        own = [run for run in runs if run.arm == arm]
        own += [run for run in runs if run.arm == beside != arm and run.library != "ctrbench"]
        for library in dict.fromkeys(run.library for run in own):
            lines.append(_row(arm, library, [r for r in own if r.library == library], ours))
    text = "\n".join(lines) + "\n"
    (TABLES / "speed_training.md").write_text(text, encoding="utf-8")
    kept = [vars(run) for run in runs]
    (TABLES / "speed_training.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    print(text)


def _worst(runs: list[Run]) -> str:
    """The mode that trains slowest."""
    speeds = {
        arm: median(r.samples_per_s for r in runs if (r.arm, r.library) == (arm, "ctrbench"))
        for arm in dict.fromkeys(run.arm for run in runs)
    }
    slowest = min(speeds, key=lambda arm: speeds[arm])
    return f"Slowest: {slowest}, {speeds[slowest]:,.0f} samples/s."


def _row(arm: str, library: str, own: list[Run], ours: list[Run]) -> str:
    first = own[0].measured[0]
    everything = [one for run in own for one in run.measured]
    which = arm if own[0].arm == arm else f"{arm} ({own[0].arm})"
    cells = [which, f"{library} {first['version']}, torch {first['torch']}", f"{len(own)}"]
    for name in ("samples_per_s", "whole_per_s"):
        speeds = [getattr(run, name) for run in own]
        cells.append(_range(speeds, "{:,.0f}"))
        if library == "ctrbench":
            cells.append("")
        elif own[0].arm == arm:
            ratios = [getattr(a, name) / getattr(b, name) for a, b in zip(ours, own, strict=True)]
            cells.append(_range(ratios, "{:.1f}"))
        else:
            cells.append(f"{median(getattr(run, name) for run in ours) / median(speeds):.1f}")
    cells.append(f"{max(one['peak_memory_mb'] for one in everything):,.0f}")
    cells.append(f"{first['prepare_s']:.0f}")
    return f"| {' | '.join(cells)} |"


def _range(values: list[float], form: str) -> str:
    low, middle, high = (form.format(f(values)) for f in (min, median, max))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
