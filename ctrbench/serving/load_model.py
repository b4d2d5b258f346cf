"""Loads the model of this folder in PyTorch; requires ctrbench: `python load_model.py`.

`load` returns a torch module. Its arguments are the inputs of features.json, in their order. It can
be trained further: its parameters are ordinary parameters.
"""

import json
import sys
from pathlib import Path

import numpy as np

from ctrbench.serving import load


def main(folder):
    """Run the golden requests and print the largest difference of a logit."""
    model = load(folder)
    largest = 0.0
    for batch in json.loads((folder / "golden.json").read_text(encoding="utf-8"))["batches"]:
        request = {
            name: np.array(
                [float("nan") if value is None else value for value in one["data"]], one["dtype"]
            ).reshape(one["shape"])
            for name, one in batch["inputs"].items()
        }
        found = model.run(request)["logit"]
        largest = max(largest, float(np.abs(found - batch["outputs"]["logit"]["data"]).max()))
    count = sum(one.numel() for one in model.parameters())
    sys.stdout.write(f"{count:,} parameters; largest difference {largest:.2g}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent))
