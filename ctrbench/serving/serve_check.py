"""Checks this folder; requires only numpy and onnxruntime: `python serve_check.py`.

Exit code 0: the model reproduces every golden output. 1: it does not, or a file changed. 2: a file
or a library is missing, or a file is damaged.
"""

import hashlib
import json
import sys
from contextlib import contextmanager
from pathlib import Path, PurePath

TOLERANCE = 1e-5  # largest difference of an output, relative to numbers above 1
LONGEST = 1000  # characters of a line of output
FATAL = 4  # severity of onnxruntime's log; it prints names of the model with control characters


class DamagedError(Exception):
    """A file cannot be used; the message names it."""


@contextmanager
def damage(name):
    """Turn errors about the content of a file into a DamagedError.

    Args:
        name: The file.

    Raises:
        DamagedError: The content is damaged.
    """
    try:
        yield
    except (ImportError, FileNotFoundError):
        raise
    except Exception as error:  # onnxruntime has many classes
        raise DamagedError(f"{name} is damaged ({type(error).__name__}: {error})") from error


def read(path):
    """Return the content of a JSON file.

    Raises:
        DamagedError: It is no JSON.
    """
    with damage(path.name):
        return json.loads(path.read_text(encoding="utf-8"))


def array(given):
    """Return an array of golden.json; null is NaN.

    Raises:
        ValueError: It does not consist of numbers.
    """
    import numpy as np

    dtype = np.dtype(given["dtype"])
    if dtype.kind not in "biuf":
        raise ValueError(f"{dtype} is no type of numbers")
    data = [float("nan") if value is None else value for value in given["data"]]
    return np.array(data, dtype).reshape(given["shape"])


def changed_files(folder):
    """Return the files whose SHA-256 differs from that in files.json.

    Raises:
        DamagedError: The list is damaged, or names a file outside the folder.
    """
    known = read(folder / "files.json")
    with damage("files.json"):
        for name in known:
            if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
                raise ValueError(f"{name} is outside the folder")
        return [
            name
            for name, digest in known.items()
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
        ]


def opened(folder):
    """Return a session of the model.

    Raises:
        DamagedError: onnxruntime cannot read the model.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    with damage("model.onnx"):
        return onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )


def check(folder):
    """Return the problems of a folder, and the largest difference of an output.

    Raises:
        DamagedError: A file is damaged.
    """
    changed = changed_files(folder)
    problems = [f"{name} differs from its checksum in files.json" for name in changed]
    if "model.onnx" in changed:  # onnxruntime may be unable to read it
        return problems, float("nan")
    session = opened(folder)
    features = read(folder / "features.json")
    inputs = [one.name for one in session.get_inputs()]
    with damage("features.json"):
        named = [one["name"] for one in features["inputs"]]
        differ = sorted(inputs) != sorted(named)
    if differ:
        problems.append(f"model.onnx has the inputs {inputs}, features.json lists {named}")
        return problems, float("nan")
    golden = read(folder / "golden.json")
    with damage("golden.json"):
        found = [compared(session, batch) for batch in golden["batches"]]
    problems += [problem for one, _ in found for problem in one]
    return problems, max([0.0, *(largest for _, largest in found)])


def compared(session, batch):
    """Return the problems of a golden batch, and the largest difference of an output.

    Args:
        session: The session of the model.
        batch: A batch of golden.json.
    """
    import numpy as np

    problems, largest = [], 0.0
    feed = {name: array(given) for name, given in batch["inputs"].items()}
    outputs = list(batch["outputs"])
    for name, output in zip(outputs, session.run(outputs, feed), strict=True):
        found = np.asarray(output)
        expected = array(batch["outputs"][name])
        if found.shape != expected.shape:
            problems.append(
                f"batch {batch['name']}: {name} has shape {found.shape} instead of {expected.shape}"
            )
            continue
        with np.errstate(all="ignore"):
            apart = np.abs(found - expected) / np.maximum(1, np.abs(expected))
        worst = float(apart.max()) if apart.size else 0.0
        if not worst <= TOLERANCE:
            problems.append(
                f"batch {batch['name']}: {name} differs by {worst:.2g}, allowed {TOLERANCE:g}"
            )
        largest = max(largest, worst)
    return problems, largest


def line(text):
    """Return a line of output: control characters of a damaged file become codes."""
    shown = "".join(
        one if one.isprintable() else f"\\x{ord(one):02x}" for one in str(text)[:LONGEST]
    )
    return f"{shown}\n"


def main(folder):
    """Print the outcome and return the exit code."""
    try:
        problems, largest = check(folder)
    except ImportError as error:
        sys.stderr.write(f"{error}. Install it: pip install numpy onnxruntime\n")
        return 2
    except FileNotFoundError as error:
        sys.stderr.write(line(f"{error.filename} is missing. Export the cell again."))
        return 2
    except DamagedError as error:
        sys.stderr.write(line(f"{str(error)[:300]}. Export the cell again."))
        return 2
    for problem in problems:
        sys.stderr.write(line(problem))
    if not problems:
        sys.stdout.write(f"every golden output is reproduced; largest difference {largest:.2g}\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(__file__).resolve().parent))
