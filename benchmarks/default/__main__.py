"""`python -m benchmarks.default HOME`: the default run.

Makes both worlds below HOME, runs both matrices, prints their answers, and writes HOME/report.html.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from benchmarks.default import FILES, STRENGTH, USUAL_GAIN_PP, better_modes, stored_table, world
from benchmarks.shared import TABLES, ctrbench, data_synth

WHAT = {
    "taste": "World 1 of 2: style drives clicks, and only oracle vectors contain it.",
    "null": "World 2 of 2: style does not drive clicks.",
}
PICTURES = {"taste": 64, "null": 0}  # width in pixels; the report shows them


def main() -> None:
    """Make, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="the workspace to create")
    home = parser.parse_args().home
    for kind, file in FILES.items():
        print(f"{WHAT[kind]}\n", flush=True)
        options = world(kind, seed=0) | {"pictures": PICTURES[kind]}
        subprocess.run(data_synth(home, **options), check=True, stdout=subprocess.DEVNULL)
        subprocess.run(ctrbench(home, "run", file, "--no-report"), check=True)
        print(flush=True)
    report = home / "report.html"
    subprocess.run(ctrbench(home, "report", FILES["taste"], "--output", report), check=True)
    print(f"\n{_planted()}\n{_found(home)}")


def _planted() -> str:
    """Return the strength of the planted effect and the power of the run, from the pilot."""
    rows = json.loads((TABLES / "default_power.json").read_text(encoding="utf-8"))
    of_strength = [row for row in rows if row["strength"] == STRENGTH]
    powers = {
        mode: min(row["power"] for row in of_strength if row["mode"] == mode)
        for mode in dict.fromkeys(row["mode"] for row in of_strength)
    }
    gain = max(row["gain, pp"] for row in of_strength if row["against"] == "the baseline")
    listed = ", ".join(f"{mode} {power:.2f}" for mode, power in powers.items())
    return (
        f"Planted: an effect about {gain / USUAL_GAIN_PP:.0f} times what teams see, so that two "
        f"minutes suffice. Power, computed beforehand: {listed}."
    )


def _found(home: Path) -> str:
    """Return whether the runs found the planted effect, and which placebos they called better."""
    taste, null = stored_table(home, "taste"), stored_table(home, "null")
    found = better_modes(taste, "oracle")
    alarms = [f"random / {mode}" for mode in better_modes(taste, "random")]
    alarms += [f"oracle / {mode} in world 2" for mode in better_modes(null, "oracle")]
    effect = f"found by {', '.join(found)}" if found else "not found"
    return (
        f"Planted effect: {effect}. False alarms (random vectors, world 2): "
        f"{', '.join(alarms) or 'none'}."
    )


if __name__ == "__main__":
    main()
