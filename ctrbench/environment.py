"""Describe the environment of a result: library versions, commit, processor; count cores."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ctrbench import __version__

LIBRARIES = ("torch", "numpy", "faiss-cpu", "scikit-learn")
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # "200000 100000": two cores' time; cgroup v2


def environment() -> dict[str, str]:
    """Return library versions, system, processor and commit.

    The commit is `unknown` outside a git checkout, and marked if files of ctrbench are modified.
    """
    return {
        "ctrbench": __version__,
        "commit": _commit(),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
    }


def _commit() -> str:
    here = Path(__file__).resolve().parents[1]
    if not (here / ".git").exists():
        return "unknown"
    commit = _git(here, "rev-parse", "--short=12", "HEAD")
    changed = _git(here, "status", "--porcelain", "--untracked-files=no", "--", "ctrbench")
    return f"{commit or 'unknown'}{' (changed)' if changed else ''}"


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:  # git is not installed
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or "unknown"


def usable_cores() -> int:
    """Return the cores this process may use; a container often has fewer than the machine."""
    affinity: Any = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(min(cores, cores_of_quota(CPU_QUOTA) or cores), 1)


def cores_of_quota(file: Path) -> int | None:
    """Return the whole cores of a container's CPU quota; None without a limit.

    Args:
        file: `cpu.max` of its control group.
    """
    try:
        quota, period = file.read_text(encoding="ascii").split()
        return max(int(quota) // int(period), 1)
    except (OSError, ValueError):  # no such file, or "max"
        return None
