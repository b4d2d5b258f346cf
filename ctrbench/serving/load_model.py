"""Loads the model of this folder in PyTorch; requires ctrbench: `python load_model.py`.

`load` returns a torch module. Its arguments are the inputs of features.json, in their order. It can
be trained further: its parameters are ordinary parameters.
"""

import json
import sys
from pathlib import Path

import numpy as np

from ctrbench.errors import CtrBenchError
from ctrbench.serving import load
from ctrbench.serving.loading import damage
from ctrbench.serving.serve_check import array


def main(folder):
    """Run the golden requests, print the largest difference of a logit, and return the exit code.

    It is 2 if the folder is damaged.
    """
    try:
        model, largest = load(folder), 0.0
        with damage(folder / "golden.json"):
            golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
            for batch in golden["batches"]:
                request = {name: array(one) for name, one in batch["inputs"].items()}
                found = model.run(request)["logit"]
                apart = np.abs(found - array(batch["outputs"]["logit"]))
                largest = max(largest, float(apart.max()))
    except CtrBenchError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    count = sum(one.numel() for one in model.parameters())
    sys.stdout.write(f"{count:,} parameters; largest difference {largest:.2g}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent)))
