"""A matrix: read, planned, trained, tabulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ctrbench.analysis.table import ComparisonTable
from ctrbench.api.inputs import (
    Home,
    Jobs,
    Location,
    checked_jobs,
    described,
    is_location,
    listed,
    opened,
)
from ctrbench.benchmark_file import parse_benchmark, write_choice
from ctrbench.errors import ConfigError
from ctrbench.injection import Injection
from ctrbench.matrix import check_matrix
from ctrbench.matrix import read_matrix as read_checked
from ctrbench.plan import Matrix as CheckedMatrix
from ctrbench.plan import effect_of
from ctrbench.schema import CellRecord
from ctrbench.starting_file import Choice, file_of_run, starting_file, write_new
from ctrbench.workspace import Workspace

if TYPE_CHECKING:
    from ctrbench.executors import Executor, Limits
    from ctrbench.page import ReportOfRun
    from ctrbench.runner.screening import Screening
    from ctrbench.runner.sequential import Outcome
    from ctrbench.runner.states import CellState, MatrixStatus, Notices, RunPlan
    from ctrbench.runner.tune import Tuning

MOST_SEEDS = 20  # of a run until every comparison is decided
Modes = str | Sequence[str | Injection] | Mapping[str, Mapping[str, Any] | None]


class Matrix:
    """A benchmark of a workspace: versions x modes x seeds, checked before any cell runs.

    The arguments are the keys of a benchmark file; None leaves a key out. In a notebook it is shown
    with the numbers of stored, failed and missing cells.
    """

    def __init__(
        self,
        dataset: str,
        *,
        versions: str | Sequence[str] = "all",
        modes: Modes = "all",
        seeds: int | Sequence[int] = Choice.seeds,
        label: str | None = None,
        headline: str | None = None,
        metrics: str | Sequence[str] | None = None,
        margin: str | None = None,
        effect: str | None = None,
        repeat_baseline: bool | None = None,
        controls: str | Sequence[str | Mapping[str, Any]] | None = None,
        slices: Sequence[Any] | None = None,
        predictions: str | Sequence[str] | None = None,
        model: Mapping[str, Any] | None = None,
        training: Mapping[str, Any] | None = None,
        tune: Mapping[str, Any] | None = None,
        screen: Mapping[str, Any] | None = None,
        workspace: Home = ".",
    ) -> None:
        """Check the settings against the content of the workspace.

        Args:
            dataset: The name of the data set.
            versions: Names of versions, or `all`.
            modes: Names of modes, modes with their settings, settings by mode (lists span a grid),
                or `all`.
            seeds: Their number, or the seeds.
            label: A further label of the data set to predict.
            headline: The metric of verdicts.
            metrics: Further metrics that tables show, such as `ndcg@5`.
            margin: The largest acceptable loss, such as `0.05pp`.
            effect: The smallest effect of interest.
            repeat_baseline: Whether to train the first seed's baseline twice.
            controls: Names of controls, with `within` and `versions` as dicts; `none` for none.
            slices: Named subsets of the test impressions.
            predictions: Names of imported predictions.
            model: Settings of the model.
            training: Settings of the training; lists span a grid.
            tune: The candidates of `tune`.
            screen: The settings of `screen`.
            workspace: The workspace, or its folder.

        Raises:
            ConfigError: Lists every mistake, with the nearest valid name.
        """
        given = {
            "dataset": dataset,
            "label": label,
            "versions": versions,
            "modes": _settings_by_mode(modes),
            "seeds": seeds,
            "headline": headline,
            "metrics": metrics,
            "margin": margin,
            "effect": effect,
            "repeat_baseline": repeat_baseline,
            "controls": controls,
            "slices": slices,
            "predictions": predictions,
            "model": model,
            "training": training,
            "tune": tune,
            "screen": screen,
        }
        value = {key: _plain(one) for key, one in given.items() if one is not None}
        what = f"the matrix of {dataset!r}"
        file = parse_benchmark(value, what, {})
        self.workspace = opened(workspace)
        self.checked: CheckedMatrix = check_matrix(
            file, self.workspace, what, lambda problems: [one.message for one in problems]
        )
        self.path = Path(f"{dataset}.yaml")  # names the report; need not exist

    @classmethod
    def of(cls, checked: CheckedMatrix, workspace: Workspace, path: Path) -> Matrix:
        """Return a matrix that is checked already.

        Args:
            checked: The checked matrix.
            workspace: Its workspace.
            path: Its benchmark file, which names the report.
        """
        made = cls.__new__(cls)
        made.checked, made.workspace, made.path = checked, workspace, path
        return made

    def __repr__(self) -> str:
        """Return the names of data set, versions and modes, and the number of cells."""
        file = self.checked.file
        return (
            f"Matrix({file.dataset!r}, versions={list(file.versions)}, modes={list(file.modes)}, "
            f"seeds={list(file.seeds)}: {len(list(self.checked.cells()))} cells)"
        )

    def _repr_html_(self) -> str:
        return status(self)._repr_html_()


def read_matrix(file: Location, workspace: Home = ".") -> Matrix:
    """Read a benchmark file and check it against the content of the workspace.

    Args:
        file: The benchmark file (YAML).
        workspace: The workspace, or its folder.

    Raises:
        ConfigError: Lists every mistake with its line, and the nearest valid name.
    """
    home, path = opened(workspace), Path(file)
    return Matrix.of(read_checked(path, home), home, path)


@dataclass(frozen=True)
class Run:
    """The result of a run; a notebook shows the answer and the headline table."""

    matrix: Matrix  # with all trained seeds
    records: dict[str, CellRecord]  # by cell hash
    table: ComparisonTable
    status: MatrixStatus
    outcome: Outcome | None = None  # of `until_decided`
    looks: int = 1  # planned analyses

    def _repr_html_(self) -> str:
        return self.table._repr_html_()


@dataclass(frozen=True)
class ScreenRun:
    """The result of a screen; a notebook shows the table of the chosen versions."""

    screening: Screening
    table: ComparisonTable

    def _repr_html_(self) -> str:
        return self.table._repr_html_() + self.screening._repr_html_()


@dataclass(frozen=True)
class Packed:
    """What `pack` wrote."""

    path: Path
    cells: int  # written
    planned: int  # of the matrix
    size: int  # bytes


def init(dataset: str, output: Location | None = None, *, workspace: Home = ".") -> Path:
    """Write a commented benchmark file for a data set and all its versions, and return its path.

    Args:
        dataset: The name of the data set.
        output: The file to create; None: `DATASET.yaml`.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: The data set does not exist.
        ConfigError: It has no version, or the file exists.
    """
    path = Path(f"{dataset}.yaml") if output is None else Path(output)
    write_new(path, starting_file(opened(workspace), Choice(dataset)))
    return path


def quick_matrix(
    file: Path | None,
    dataset: str | None,
    versions: str | None,
    modes: str | None,
    seeds: int | None,
    *,
    workspace: Home = ".",
) -> Matrix:
    """Return the matrix of a file, or write `DATASET.yaml` and return its matrix.

    Args:
        file: The benchmark file; None if the other arguments describe the matrix.
        dataset: The name of the data set.
        versions: Names separated by commas, or `all`; None: all.
        modes: Names separated by commas, or `all`; None: all.
        seeds: The number of seeds, at least 1; None: the default.
        workspace: The workspace, or its folder.

    Raises:
        UnknownNameError: There is no such data set, version or mode.
        ConfigError: Both or neither are given, the file has mistakes, or it exists and ctrbench did
            not write it.
    """
    home = opened(workspace)
    return read_matrix(file_of_run(home, file, dataset, versions, modes, seeds), home)


def plan_cells(matrix: Matrix, jobs: Jobs = "auto") -> RunPlan:
    """Return the cells: stored, missing, expected time and memory.

    Args:
        matrix: The matrix.
        jobs: Number of cells to train at once; `auto`: one per core.

    Raises:
        ConfigError: The number of jobs is not valid.
    """
    from ctrbench.runner.states import planned

    one = checked(matrix)
    return planned(one.workspace, one.checked, checked_jobs(jobs))


def require_memory(matrix: Matrix) -> None:
    """Check that every missing cell fits into memory.

    Raises:
        ConfigError: A cell does not.
    """
    from ctrbench.runner import missing_cells
    from ctrbench.runner.memory import require_memory as require

    one = checked(matrix)
    require(one.workspace, missing_cells(one.workspace, one.checked.cells()))


def notices(matrix: Matrix) -> Notices:
    """Return facts that affect the interpretation of a matrix, such as modes whose code changed."""
    from ctrbench.runner import stored_records
    from ctrbench.runner.states import notices as notices_of

    one = checked(matrix)
    return notices_of(one.checked, stored_records(one.workspace, one.checked.cells()))


def run(
    matrix: Matrix,
    jobs: Jobs | Executor = "auto",
    *,
    retry_failed: bool = False,
    traced: bool = False,
    keep_models: bool = False,
    until_decided: bool = False,
    most_seeds: int | None = None,
    effect: str | None = None,
    progress: bool | None = None,
    track: str | Sequence[str] = (),
) -> Run:
    """Train the cells that are not stored yet, and return the table.

    Shows notices and progress on stderr.

    Args:
        matrix: The matrix.
        jobs: Number of cells to train at once, one process each; `auto`: one per core. Or an
            executor of `ctrbench.executors`.
        retry_failed: Train failed cells again.
        traced: Record how each cell learns, for `explain`.
        keep_models: Store the weights of each cell, for `export`.
        until_decided: Add seeds until every comparison is decided or cannot be decided.
        most_seeds: Maximum seeds of `until_decided`; None: 20.
        effect: The smallest effect that `until_decided` must detect; None: that of the matrix.
        progress: True: a line with details per cell. False: no progress. None: a bar.
        track: Name or names of experiment trackers that also receive cells and table.

    Raises:
        ConfigError: Options exclude each other, cells do not fit into memory, or the package of a
            tracker is not installed.
        CtrBenchError: The workspace lacks the data, or cannot be written.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.runner import run_matrix
    from ctrbench.runner.sequential import run_until_decided
    from ctrbench.runner.tracked import Tracking
    from ctrbench.terminal.matrices import show_notices
    from ctrbench.terminal.output import echo
    from ctrbench.terminal.progress import RunDisplay

    check_options(traced, until_decided, most_seeds, effect, keep_models)
    one = checked(matrix)
    processes = _processes(one, jobs)
    wanted = effect_of(effect, one.checked.file.effect)
    show_notices(notices(one))
    looks, outcome = 1, None
    tracking = Tracking(one.workspace, listed(track), one.path.stem, partial(echo, err=True))
    with RunDisplay(progress) as shown:
        display = tracking.observing(shown)
        if until_decided:
            most = MOST_SEEDS if most_seeds is None else most_seeds
            outcome = run_until_decided(
                one.workspace, one.checked, processes, retry_failed, display, most, wanted
            )
            one = Matrix.of(outcome.matrix.with_effect(effect), one.workspace, one.path)
            records, looks = outcome.records, outcome.looks
        else:
            records = run_matrix(
                one.workspace,
                one.checked,
                processes,
                retry_failed,
                display,
                traced,
                keep_models,
            )
    table = comparison_table(one.workspace, one.checked, records, looks)
    tracking.finish(records, table)
    return Run(one, records, table, _status(one, records), outcome, looks)


def list_cells(
    matrix: Matrix, *, missing: bool = False, retry_failed: bool = False
) -> list[CellState]:
    """Return the cells of a matrix with their hash, state and requirements.

    Args:
        matrix: The matrix.
        missing: Return only the cells that `run` trains.
        retry_failed: Count failed cells as missing.
    """
    from ctrbench.runner.states import cell_states

    one = checked(matrix)
    return cell_states(one.workspace, one.checked, missing, retry_failed)


def run_cell(
    matrix: Matrix,
    hash: str,
    *,
    retry_failed: bool = False,
    traced: bool = False,
    keep_models: bool = False,
    limits: Limits | None = None,
    local_processes: int = 1,
) -> CellRecord:
    """Train one cell, unless it is stored, and return its record.

    It is trained in this process; with limits, in another one, which can be stopped. Any number of
    processes may do so at once, also on several machines with one workspace.

    Args:
        matrix: The matrix.
        hash: The hash of one of its cells, see `list_cells`.
        retry_failed: Train the cell again if it failed.
        traced: Record how the cell learns, for `explain`.
        keep_models: Store the weights, for `export`.
        limits: Limits of time and memory (`ctrbench.executors.Limits`), after which the cell is
            stored as failed; not with several processes. None: none.
        local_processes: Number of processes that torchrun started on this machine, and that share
            its memory.

    Raises:
        ConfigError: The matrix has no such cell, it does not fit into memory, or there are limits
            and several processes.
        CtrBenchError: The workspace lacks the data, or cannot be written.
        LostProcessError: One of the processes that torchrun started ended; nothing is stored.
    """
    from ctrbench.executors import NO_LIMITS, keep_freed_memory
    from ctrbench.runner.run import run_one

    one = checked(matrix)
    cells = {cell.hash: cell for cell in one.checked.cells()}
    if hash not in cells:
        raise ConfigError(
            f"{one.path} has no cell {hash!r}. `ctrbench cells {one.path}` lists the hashes of its "
            f"{len(cells)} cells; they change with the settings."
        )
    keep_freed_memory()
    return run_one(
        one.workspace,
        one.checked,
        cells[hash],
        retry_failed,
        traced,
        keep_models,
        NO_LIMITS if limits is None else limits,
        local_processes,
    )


def help_to_run_cell(workspace: Workspace) -> None:
    """Help the process that calls `run_cell` to train its cell, until it is done.

    All processes that torchrun started, except the first, call this function.

    Args:
        workspace: The workspace of the first process.

    Raises:
        LostProcessError: Another process ended.
    """
    from ctrbench.executors import keep_freed_memory
    from ctrbench.runner.helping import help_first

    keep_freed_memory()
    help_first(workspace)


def check_options(
    traced: bool,
    until_decided: bool,
    most_seeds: int | None,
    effect: str | None,
    keep_models: bool = False,
) -> None:
    """Check that options of a run do not exclude each other, before any work.

    Args:
        traced: See `run`.
        until_decided: See `run`.
        most_seeds: See `run`.
        effect: See `run`.
        keep_models: See `run`.

    Raises:
        ConfigError: They do.
    """
    if not until_decided and (most_seeds is not None or effect is not None):
        raise ConfigError("most_seeds and effect require until_decided (--until-decided); add it.")
    if until_decided and traced:
        raise ConfigError(
            "traced (--trace) and until_decided (--until-decided) exclude each other; record the "
            "traces later."
        )
    if until_decided and keep_models:
        raise ConfigError(
            "keep_models (--keep-models) and until_decided (--until-decided) exclude each other; "
            "store the weights later."
        )


def status(matrix: Matrix) -> MatrixStatus:
    """Return how many cells are stored, failed, running and missing, and why cells failed."""
    from ctrbench.runner import stored_records
    from ctrbench.runner.in_progress import running_cells
    from ctrbench.runner.states import status as status_of

    one = checked(matrix)
    running = running_cells(one.workspace, one.checked.cells())
    return status_of(one.checked, stored_records(one.workspace, one.checked.cells()), running)


def records(matrix: Matrix) -> dict[str, CellRecord]:
    """Return the stored records by cell hash, with all slices and influence values.

    Raises:
        StoreError: Predictions are damaged, or belong to other impressions.
    """
    from ctrbench.runner import completed

    one = checked(matrix)
    return completed(one.workspace, one.checked)


def tables(matrix: Matrix) -> ComparisonTable:
    """Return the answer and the table of stored cells; trains nothing.

    Raises:
        StoreError: A record is damaged.
    """
    from ctrbench.analysis.matrices import comparison_table

    one = checked(matrix)
    return comparison_table(one.workspace, one.checked, records(one))


def pack(matrix: Matrix, output: Location | None = None) -> Packed:
    """Write the stored cells into one file that suffices to show the table.

    Args:
        matrix: The matrix.
        output: The file; None: `results/published/<name of the benchmark file>.parquet`.

    Raises:
        StoreError: The file cannot be written.
    """
    from ctrbench.analysis.matrices import printed_keys
    from ctrbench.atomic import check_writable
    from ctrbench.store import PUBLISHED, Store

    one = checked(matrix)
    default = one.workspace.results / PUBLISHED / f"{one.path.stem}.parquet"
    target = default if output is None else Path(output)
    check_writable(target)
    cells = list(one.checked.shown_cells())
    measures = printed_keys(one.workspace, one.checked)
    count = Store(one.workspace).pack(target, cells, one.checked.dataset.name, measures)
    return Packed(target, count, len(cells), target.stat().st_size)


def tune(
    matrix: Matrix,
    jobs: Jobs | Executor = "auto",
    *,
    write: bool = False,
    progress: bool | None = None,
) -> Tuning:
    """Choose batch size and learning rate of the baseline on `valid`, and use them for all modes.

    Args:
        matrix: The matrix, with the candidates in `tune`.
        jobs: As for `run`.
        write: Whether to write the choice into the benchmark file.
        progress: As for `run`.

    Raises:
        ConfigError: There are no candidates, or every trial of the baseline or a mode failed.
        StoreError: The benchmark file cannot be written.
    """
    from ctrbench.runner.tune import tune as choose
    from ctrbench.terminal.progress import RunDisplay

    one = checked(matrix)
    with RunDisplay(progress) as display:
        found = choose(one.workspace, one.checked, _processes(one, jobs), display)
    if write:
        write_choice(one.path, found.training, found.factors)
    return found


def screen(
    matrix: Matrix,
    jobs: Jobs | Executor = "auto",
    *,
    retry_failed: bool = False,
    progress: bool | None = None,
) -> ScreenRun:
    """Train every version with one mode and few seeds, then the best with all modes and seeds.

    Args:
        matrix: The matrix; `screen` sets mode, seeds and the number of versions to keep.
        jobs: As for `run`.
        retry_failed: Train failed cells again.
        progress: As for `run`.

    Raises:
        ConfigError: The screen cannot be planned, or a version has no finished cell.
    """
    from ctrbench.analysis.matrices import comparison_table
    from ctrbench.runner import run_matrix, stored_records
    from ctrbench.runner.screening import screen as run_screen
    from ctrbench.runner.screening import screening
    from ctrbench.terminal.matrices import show_findings
    from ctrbench.terminal.progress import RunDisplay

    one = checked(matrix)
    processes = _processes(one, jobs)
    home, whole = one.workspace, one.checked
    show_findings(whole.dataset.name, whole.dataset.findings)
    with RunDisplay(progress) as display:
        screened = run_screen(home, whole, processes, retry_failed, display)
    with RunDisplay(progress) as display:
        found = run_matrix(home, screened.second, processes, retry_failed, display)
    table = comparison_table(home, screened.second, found)
    return ScreenRun(screening(whole, screened, stored_records(home, whole.cells())), table)


def report_of_run(found: Run) -> ReportOfRun:
    """Write `results/reports/<name>.html`; an error becomes the `problem` of the result."""
    from ctrbench.page import write_report_of_run

    one = found.matrix
    return write_report_of_run(one.workspace, one.path, one.checked, found.records, found.looks)


def stored_report(matrix: Matrix) -> ReportOfRun:
    """Return whether the report of the last run is up to date; writes nothing."""
    from ctrbench.page import report_of_run as stored

    return stored(matrix.workspace, matrix.path, records(matrix))


def _processes(matrix: Matrix, jobs: Jobs | Executor) -> int | Executor:
    """Return the executor, or the number of processes; one if other processes lack a class."""
    from ctrbench.executors import Executor
    from ctrbench.runner.run import defined_here

    if isinstance(jobs, Executor):
        return jobs
    file = matrix.checked.file
    if jobs == "auto" and defined_here(matrix.checked.cells(), file.slices):
        return 1
    return checked_jobs(jobs)


def checked(matrix: object) -> Matrix:
    """Return a matrix.

    Raises:
        ConfigError: The argument is something else.
    """
    if isinstance(matrix, Matrix):
        return matrix
    if is_location(matrix):
        raise ConfigError(
            f"{matrix} is a path, not a matrix; read the file with ctrbench.read_matrix(path)."
        )
    raise ConfigError(
        f"matrix is {described(matrix)}; give a ctrbench.Matrix, or ctrbench.read_matrix(path)."
    )


def _status(matrix: Matrix, found: Mapping[str, CellRecord]) -> MatrixStatus:
    from ctrbench.runner.states import status as status_of

    return status_of(matrix.checked, found)


def _settings_by_mode(modes: Modes) -> Any:
    """Return modes as a benchmark file contains them."""
    if isinstance(modes, str) or not isinstance(modes, Sequence):
        return modes
    if not any(isinstance(one, Injection) for one in modes):
        return list(modes)
    made: dict[str, Any] = {}
    for one in modes:
        name = one if isinstance(one, str) else _name_of(one)
        if name in made:
            raise ConfigError(f"mode {name} is given twice; give a setting a list of values.")
        made[name] = {} if isinstance(one, str) else one.model_dump(exclude_unset=True)
    return made


def _name_of(mode: Injection) -> str:
    from ctrbench.injection import mode_class, mode_names

    for name in mode_names():
        if mode_class(name) is type(mode):
            return name
    raise ConfigError(
        f"{type(mode).__name__} is no known mode; write @ctrbench.register(NAME) above its class."
    )


def _plain(value: Any) -> Any:
    """Return a value as YAML has it: tuples become lists, models their settings."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple | range):
        return [_plain(one) for one in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(exclude_unset=True)
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value
