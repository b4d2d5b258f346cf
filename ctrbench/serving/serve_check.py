"""Checks this folder; requires only numpy and onnxruntime: `python serve_check.py`.

Exit code 0: the model reproduces every golden output. 1: it does not, or a file changed. 2: a file
or a library is missing.
"""

import hashlib
import json
import sys
from pathlib import Path

TOLERANCE = 1e-5  # largest difference of an output, relative to numbers above 1


def array(given):
    """Return an array of golden.json; null is NaN."""
    import numpy as np

    data = [float("nan") if value is None else value for value in given["data"]]
    return np.array(data, given["dtype"]).reshape(given["shape"])


def changed_files(folder):
    """Return the files whose SHA-256 differs from that in files.json."""
    known = json.loads((folder / "files.json").read_text(encoding="utf-8"))
    return [
        name
        for name, digest in known.items()
        if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]


def check(folder):
    """Return the problems of a folder, and the largest difference of an output."""
    import numpy as np
    import onnxruntime

    changed = changed_files(folder)
    problems = [f"{name} differs from its checksum in files.json" for name in changed]
    if "model.onnx" in changed:  # onnxruntime may be unable to read it
        return problems, float("nan")
    session = onnxruntime.InferenceSession(
        str(folder / "model.onnx"), providers=["CPUExecutionProvider"]
    )
    features = json.loads((folder / "features.json").read_text(encoding="utf-8"))["inputs"]
    named = [one["name"] for one in features]
    inputs = [one.name for one in session.get_inputs()]
    if sorted(inputs) != sorted(named):
        problems.append(f"model.onnx has the inputs {inputs}, features.json lists {named}")
        return problems, float("nan")
    golden = json.loads((folder / "golden.json").read_text(encoding="utf-8"))
    largest = 0.0
    for batch in golden["batches"]:
        feed = {name: array(given) for name, given in batch["inputs"].items()}
        outputs = list(batch["outputs"])
        for name, output in zip(outputs, session.run(outputs, feed), strict=True):
            found = np.asarray(output)
            expected = array(batch["outputs"][name])
            if found.shape != expected.shape:
                problems.append(
                    f"batch {batch['name']}: {name} has shape {found.shape} instead of "
                    f"{expected.shape}"
                )
                continue
            apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
            worst = float(apart.max()) if apart.size else 0.0
            if not worst <= TOLERANCE:
                problems.append(
                    f"batch {batch['name']}: {name} differs by {worst:.2g}, allowed {TOLERANCE:g}"
                )
            largest = max(largest, worst)
    return problems, largest


def main(folder):
    """Print the outcome and return the exit code."""
    try:
        problems, largest = check(folder)
    except ImportError as error:
        sys.stderr.write(f"{error}. Install it: pip install numpy onnxruntime\n")
        return 2
    except FileNotFoundError as error:
        sys.stderr.write(f"{error.filename} is missing. Export the cell again.\n")
        return 2
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"every golden output is reproduced; largest difference {largest:.2g}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
