"""What a reader may do with a file from strangers: return, or raise an error of the project."""

from __future__ import annotations

import os
import resource
import shutil
import sys
import tempfile
import traceback
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from ctrbench.errors import CtrBenchError
from ctrbench.printable import printable
from tests.fuzz.mutations import Files, mutated
from tests.fuzz.targets import Make, Target, files_of, read_files

MEMORY = 1 << 29  # bytes that a reader may allocate for files of less than a mebibyte
REGRESSIONS = Path(__file__).parent / "regressions"  # <target>-<fault>/: files of an input
FILE_BYTES = 1 << 27  # of a file that a reader may write
LIMITED = (resource.RLIMIT_AS, resource.RLIMIT_FSIZE)
LONGEST = 30_000  # characters of a message
CODE = ("os.system", "subprocess.", "os.exec", "os.spawn", "os.posix_spawn", "os.fork", "pty.")
FORBIDDEN = (*CODE, "socket.", "ftplib.", "urllib.", "shutil.rmtree")


@dataclass(frozen=True)
class Finding:
    """An input that a reader handled wrongly."""

    target: str
    number: int
    problem: str
    place: str = ""  # innermost line of ctrbench

    @property
    def kind(self) -> tuple[str, str, str]:
        """What equal findings share."""
        return self.target, self.problem.partition(":")[0], self.place

    def plain(self) -> dict:
        """Return the finding as a JSON object."""
        return asdict(self)


class Judge:
    """Reads inputs of one target in a folder of its own, and watches what each of them does.

    It limits the memory of this process, and replaces its standard output and error by a file.
    """

    def __init__(self, target: Target, folder: Path) -> None:
        for kind in LIMITED:  # of the judge before
            resource.setrlimit(kind, (resource.getrlimit(kind)[1],) * 2)
        self.target, self.root = target, folder.resolve()
        self.files, self.scratch = self.root / "files", self.root / "scratch"
        self.root.mkdir(parents=True, exist_ok=True)
        self.samples = [self._made(make) for make in target.samples]
        self.hostile = [self._made(make) for make in target.hostile]
        places = sorted(REGRESSIONS.glob(f"{target.name}-*"))
        self.regressions = [read_files(place) for place in places]
        self.events: list[str] = []
        self.printed = (self.root.parent / f"{target.name}.printed").open("w+b", buffering=0)
        self.own = {self.files, self.scratch}
        self.watching = False
        sys.addaudithook(self._audit)

    def limited(self) -> None:
        """Limit memory, after the libraries have allocated what they keep."""
        with Path("/proc/self/statm").open() as file:
            own = int(file.read().split()[0]) * resource.getpagesize()
        for kind, limit in zip(LIMITED, (own + MEMORY, FILE_BYTES), strict=True):
            resource.setrlimit(kind, (limit, resource.getrlimit(kind)[1]))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def silence(self) -> None:
        """Send what libraries print to a file."""
        os.dup2(self.printed.fileno(), 1)
        os.dup2(self.printed.fileno(), 2)

    def _made(self, make: Make) -> Files:
        return files_of(make, self.root / "sample")

    @property
    def fixed(self) -> int:
        """The number of inputs that are the samples themselves."""
        return len(self.samples) + len(self.hostile)

    def input(self, seed: int, number: int) -> Files:
        """Return an input: samples, hostile ones, regressions, then changed samples.

        Args:
            seed: The seed of the run.
            number: The number of the input.
        """
        if number < len(self.samples):
            return self.samples[number]
        if number < self.fixed:
            return self.hostile[number - len(self.samples)]
        if number < self.fixed + len(self.regressions):
            return self.regressions[number - self.fixed]
        random = Random(f"{self.target.name} {seed} {number}")
        files = mutated(random.choice(self.samples), self.samples, random)
        return mutated(files, self.samples, random) if random.random() < 0.15 else files

    def judge(self, files: Files, number: int) -> Finding | None:
        """Read an input, and return what is wrong about it.

        Args:
            files: The input.
            number: Its number, for the finding.
        """
        for name, data in files.items():
            path = self.files / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        self.scratch.mkdir()
        tempfile.tempdir = str(self.scratch)
        os.chdir(self.scratch)
        before = os.lseek(2, 0, os.SEEK_END)
        problem, place, refused = "", "", False
        self.events.clear()
        self.watching = True
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                self.target.read(self.files, self.scratch)
        except Exception as error:
            problem, place, refused = unexpected(error), _place(error), True
        finally:
            self.watching = False
        problem = problem or self._traces(before)
        if not problem and number < self.fixed and refused != (number >= len(self.samples)):
            problem = "refused" if refused else "accepted"
        tempfile.tempdir = None
        os.chdir(self.root)
        for folder in (self.files, self.scratch):
            shutil.rmtree(folder, ignore_errors=True)
        return Finding(self.target.name, number, problem, place) if problem else None

    def _traces(self, before: int) -> str:
        """Return what the reader did besides reading; empty if nothing."""
        if self.events:
            return f"ran code: {self.events[0]}"
        found = sorted({*self.root.iterdir()} - self.own)
        if found:
            return f"wrote outside: {found[0].name}"
        if os.lseek(2, 0, os.SEEK_END) > before:
            text = os.pread(2, 1 << 16, before).decode("utf-8", "replace")
            if text != printable(text) or "Traceback" in text:
                return f"printed: {text[:300]!r}"
        return ""

    def _audit(self, event: str, arguments: tuple) -> None:
        if not self.watching:
            return
        if event == "open" and isinstance(arguments[0], str | bytes) and _writes(arguments):
            path = Path(os.fsdecode(arguments[0])).absolute()
            if not path.is_relative_to(self.root) and path != Path(os.devnull):
                self.events.append(f"open {path}")
        elif event.startswith(FORBIDDEN):
            if event == "shutil.rmtree" and Path(arguments[0]).is_relative_to(self.root):
                return
            self.events.append(f"{event} {str(arguments)[:200]}")


def _writes(arguments: tuple) -> bool:
    mode, flags = arguments[1], arguments[2]
    if isinstance(mode, str):
        return any(letter in mode for letter in "wax+")
    return bool(flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT))


def unexpected(error: Exception) -> str:
    """Return what is wrong about an error of a reader; empty if a user may see it."""
    if not isinstance(error, CtrBenchError):
        name = type(error).__name__
        return f"{name}: {' '.join(str(error).split())[:300]!r}"
    text = str(error)
    if text != printable(text):
        return f"control characters in the message: {text[:300]!r}"
    if len(text) > LONGEST:
        return f"a message of {len(text):,} characters: {text[:100]!r}"
    return "" if text.strip() else "an empty message"


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/ctrbench/" in frame.filename]
    return f"{own[-1].filename.rpartition('/ctrbench/')[2]}:{own[-1].lineno}" if own else ""
