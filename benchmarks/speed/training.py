"""Training speed compared with the peers, in alternation: two processes of one thread each.

`python -m benchmarks.speed.training --root DIR` makes and imports the log, installs every peer in a
separate environment below DIR, and trains two seeds at once with each library in turn,
`--repeats` times. It writes results/tables/speed_training.md and .json: samples/s of
training summed over the two processes, seconds from the start of the processes to stored
predictions, and the ratios of ctrbench to each library by repeat.
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

from benchmarks.shared import TABLES, markdown_row, write_table
from benchmarks.speed.watching import load, machine
from benchmarks.speed.work import Work, import_log

HERE = Path(__file__).resolve().parent
PEERS = ("fuxictr", "deepctr_torch", "recbole")
ARMS_OF = {"fuxictr": ("none", "vector", "cluster_id")}  # other peers: baseline only
MODES = ("vector", "sim_score", "cluster_id", "sim_tier", "sim_attention")
MODES += ("hash_id", "residual_id", "product_id", "id_init")
STAND_IN = {  # modes that no peer supports are compared with frozen vectors
    mode: "vector" for mode in MODES if mode not in ARMS_OF["fuxictr"]
}
AT_ONCE = 2  # processes of one thread each


@dataclass(frozen=True)
class Run:
    """Two concurrent processes of one library."""

    library: str
    arm: str
    repeat: int
    measured: tuple[dict[str, Any], ...]  # output of each process

    @property
    def samples_per_s(self) -> float:
        """Return samples/s of training alone, summed."""
        return sum(one["samples_per_s"] for one in self.measured)

    @property
    def whole_per_s(self) -> float:
        """Return samples/s from the start of the processes to stored predictions."""
        total_s = max(one["total_s"] for one in self.measured)
        return sum(one["rows"] for one in self.measured) / total_s


def main() -> None:
    """Prepare the data, time the libraries in alternation, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, required=True, help="folder of logs and environments")
    parser.add_argument("--impressions", type=int, default=Work.impressions)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--libraries", default=",".join(PEERS), help="peers to compare with")
    parser.add_argument("--arms", default=",".join(("none", *MODES)))
    given = parser.parse_args()
    libraries, before = [one for one in given.libraries.split(",") if one], load()
    root, name = _prepared_root(given.root, Work(impressions=given.impressions))
    install(root, libraries)
    runs = []
    for arm in given.arms.split(","):
        sides = ["ctrbench", *(one for one in libraries if arm in ARMS_OF.get(one, ("none",)))]
        for side in sides:  # preparation is not timed
            train_at_once(side, arm, root, name, seed=0)
        for repeat in range(given.repeats):
            for side in sides:
                measured = train_at_once(side, arm, root, name, seed=AT_ONCE * repeat)
                runs.append(Run(side, arm, repeat, measured))
                print(f"{arm}, {side}, {repeat}: {runs[-1].samples_per_s:,.0f}/s", flush=True)
        _write(
            _kept({run.arm for run in runs}, given.impressions) + runs, before, given.impressions
        )


def _prepared_root(root: Path, work: Work) -> tuple[Path, str]:
    """Import the log, and return the folder and the data set's name."""
    root, name = root.resolve(), f"work_{work.impressions}"
    if work.items != Work.items:
        name += f"_{work.items}"
    if not (root / "data" / name).exists():
        root.mkdir(parents=True, exist_ok=True)
        import_log(work, root, name)
    return root, name


def install(root: Path, peers: list[str]) -> None:
    """Make the environments of some peers; existing ones are used again.

    Args:
        root: The folder of logs and environments.
        peers: Names of peers; empty: none.
    """
    if peers:
        make = [sys.executable, str(HERE / "peers" / "environments.py")]
        subprocess.run([*make, "--root", str(root / "environments"), *peers], check=True)


def train_at_once(
    library: str, arm: str, root: Path, name: str, seed: int, field: str = "category"
) -> tuple[dict[str, Any], ...]:
    """Return the output of two concurrent processes, with `seed` and the next seed.

    Args:
        library: `ctrbench` or a peer.
        arm: The injection mode, or `none`.
        root: The folder of logs and environments.
        name: The data set.
        seed: The seed of the first process.
        field: The item field that the model receives.
    """

    def train(one: int) -> dict[str, Any]:
        if library != "ctrbench":
            return run_peer(library, arm, root, root / f"{name}.log", root / "peers" / name, one)
        ours = [sys.executable, "-m", "benchmarks.speed.ours", "--home", str(root)]
        words = ["--dataset", name, "--arm", arm, "--seed", str(one), "--field", field]
        return _run([*ours, *words])

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return tuple(pool.map(train, range(seed, seed + AT_ONCE)))


def run_peer(
    library: str, arm: str, root: Path, log: Path, work: Path, seed: int
) -> dict[str, Any]:
    """Return the output of a peer's adapter, which uses one thread and its own environment.

    Args:
        library: The peer.
        arm: The injection mode, or `none`.
        root: The folder of logs and environments.
        log: The folder of the log.
        work: The folder of the peer's prepared files.
        seed: The seed.
    """
    python = str(root / "environments" / library / "bin" / "python")
    folders = ["--log", str(log), "--work", str(work), "--threads", "1"]
    adapter = str(HERE / "peers" / f"run_{library}.py")
    return _run([python, adapter, *folders, "--arm", arm, "--seed", str(seed)])


def _run(command: list[str]) -> dict[str, Any]:
    """Run a command with one thread per library and return the JSON of its last line."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "POLARS_MAX_THREADS"), "1")
    done = subprocess.run(
        command, env=os.environ | threads, capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def stored() -> list[Run]:
    """Return the runs of the stored table."""
    path = TABLES / "speed_training.json"
    runs = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    return [Run(**run | {"measured": tuple(run["measured"])}) for run in runs]


def _kept(arms: set[str], impressions: int) -> list[Run]:
    """Return stored runs of the same size, without the arms that were run again."""
    return [
        run for run in stored() if run.arm not in arms and run.measured[0]["rows"] == impressions
    ]


def _write(runs: list[Run], before: str, impressions: int) -> None:
    lines = [
        f"{impressions:,} training impressions, one epoch; {AT_ONCE} processes of one thread, each "
        "with its own seed, summed. Median of alternating repeats, with the range in parentheses. "
        "Whole: from the start of the processes to stored predictions, without shared preparation. "
        "Ratio: ctrbench over the library, paired by repeat. A mode that no library supports is "
        "compared with the library's frozen vectors, (vector), by medians, because these were not "
        "timed in alternation.",
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
        compared = STAND_IN.get(arm, arm)
        own = [run for run in runs if run.arm == arm]
        own += [run for run in runs if run.arm == compared != arm and run.library != "ctrbench"]
        for library in dict.fromkeys(run.library for run in own):
            lines.append(_row(arm, library, [r for r in own if r.library == library], ours))
    kept = [vars(run) for run in runs]
    (TABLES / "speed_training.json").write_text(json.dumps(kept, indent=1), encoding="utf-8")
    write_table("speed_training.md", "\n".join(lines))


def _worst(runs: list[Run]) -> str:
    """Return a sentence about the slowest mode."""
    speeds = {
        arm: median(r.samples_per_s for r in runs if (r.arm, r.library) == (arm, "ctrbench"))
        for arm in dict.fromkeys(run.arm for run in runs)
    }
    slowest = min(speeds, key=lambda arm: speeds[arm])
    return f"Slowest: {slowest}, {speeds[slowest]:,.0f} samples/s."


def _row(arm: str, library: str, own: list[Run], ours: list[Run]) -> str:
    first = own[0].measured[0]
    outputs = [one for run in own for one in run.measured]
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
    cells.append(f"{max(one['peak_memory_mb'] for one in outputs):,.0f}")
    cells.append(f"{first['prepare_s']:.0f}")
    return markdown_row(cells)


def _range(values: list[float], form: str) -> str:
    low, middle, high = (form.format(f(values)) for f in (min, median, max))
    return f"{middle} ({low} to {high})"


if __name__ == "__main__":
    main()
