"""`python -m benchmarks.default HOME`: the default run.

Makes both worlds below HOME, runs both matrices, prints their answers, and writes HOME/report.html.
"""

from __future__ import annotations

import argparse
import json
import subprocess
from pathlib import Path

from benchmarks.default import FILES, STRENGTH, USUAL_GAIN_PP, world
from benchmarks.shared import TABLES, ctrbench, data_synth

WHAT = {
    "taste": "A world in which vision matters",
    "null": "A world in which vision does not matter",
}
PICTURES = {"taste": 64, "null": 0}  # width in pixels; the report shows them


def main() -> None:
    """Make, run, report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("home", type=Path, help="the workspace to create")
    home = parser.parse_args().home
    for kind, file in FILES.items():
        print(f"{WHAT[kind]}", flush=True)
        options = world(kind, seed=0) | {"pictures": PICTURES[kind]}
        subprocess.run(data_synth(home, **options), check=True, stdout=subprocess.DEVNULL)
        subprocess.run(ctrbench(home, "run", file, "--no-report"), check=True)
        print(f"\n{EXPECTED[kind]()}\n", flush=True)
    report = home / "report.html"
    subprocess.run(ctrbench(home, "report", FILES["taste"], "--output", report), check=True)


def _planted() -> str:
    """Return what was planted and how surely it is found, from the pilot's table."""
    rows = json.loads((TABLES / "default_power.json").read_text(encoding="utf-8"))
    of_strength = [row for row in rows if row["strength"] == STRENGTH]
    modes = list(dict.fromkeys(row["mode"] for row in of_strength))
    powers = {
        mode: min(row["power"] for row in of_strength if row["mode"] == mode) for mode in modes
    }
    gain = max(row["gain, pp"] for row in of_strength if row["against"] == "the baseline")
    told = ", ".join(f"{mode} {power:.2f}" for mode, power in powers.items())
    return (
        f"Planted: oracle vectors hold the true styles, random vectors nothing. Strength "
        f"{STRENGTH:g} of style: an effect about {gain / USUAL_GAIN_PP:.0f} times what teams see, "
        f"so that two minutes suffice. Power computed beforehand: {told}."
    )


EXPECTED = {
    "taste": _planted,
    "null": lambda: "Planted: nothing. A verdict 'better' here would be a false alarm.",
}


if __name__ == "__main__":
    main()
