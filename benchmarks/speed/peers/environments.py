"""Makes one virtual environment per peer, because the requirements conflict.

    python benchmarks/speed/peers/environments.py --root DIR [PEER ...]

It prints `peer interpreter` lines. Environments with the same requirements are reused.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import venv
from pathlib import Path

PEERS = ("fuxictr", "deepctr_torch", "recbole")


def main() -> None:
    """Make the environments that are missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, required=True, help="folder of the environments")
    parser.add_argument("peers", nargs="*", help=f"any of {', '.join(PEERS)}; all by default")
    given = parser.parse_args()
    root = given.root.resolve()
    if sys.version_info[:2] != (3, 11):
        raise SystemExit("the requirements are pinned for Python 3.11; run this with python3.11.")
    for peer in given.peers or PEERS:
        print(peer, environment(peer, root), flush=True)


def environment(peer: str, root: Path) -> Path:
    """Return the interpreter that runs `run_<peer>.py`; a missing environment is made.

    Args:
        peer: One of `PEERS`.
        root: The folder of the environments.
    """
    requirements = Path(__file__).parent / f"requirements_{peer}.txt"
    interpreter = root / peer / "bin" / "python"
    installed = (
        root / peer / "requirements.txt"
    )  # written last, so that an interrupted installation is repeated
    if not installed.exists() or installed.read_text() != requirements.read_text():
        venv.create(root / peer, symlinks=True, with_pip=True)
        subprocess.run(
            [interpreter, "-m", "pip", "install", "--quiet", "-r", requirements],
            check=True,
            stdout=sys.stderr,
        )
        installed.write_text(requirements.read_text())
    return interpreter


if __name__ == "__main__":
    main()
