"""`ctrbench datasets`: import, list, describe, check, export and remove data sets."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ctrbench import embeddings, importing, impressions, plugins
from ctrbench.atomic import discard
from ctrbench.cli._import_options import COMMON, as_yaml, completed, to_store
from ctrbench.cli._options import FAILED, JsonOption, YesOption
from ctrbench.cli._versions import add_given
from ctrbench.datasets import Importer
from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.importing import Snapshot
from ctrbench.option_fields import made_command, options_of, parameter
from ctrbench.schema import Split
from ctrbench.terminal import completing
from ctrbench.terminal import datasets as terminal
from ctrbench.terminal import guards as terminal_guards
from ctrbench.terminal.output import console, echo
from ctrbench.terminal.output import show as show_result
from ctrbench.workspace import Workspace, check_name

PACKAGE = "ctrbench.datasets"

app = typer.Typer(help="Click logs: impressions and clicks of users.", no_args_is_help=True)

Name = Annotated[
    str, typer.Argument(help="The data set's name.", autocompletion=completing.datasets)
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")]
LikeOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="Use the options with which this data set was imported; options given here replace "
        "them.",
        autocompletion=completing.datasets,
    ),
]
MappingOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="YAML file of options, such as `rename: {uid: user_id}`; options given here replace "
        "them.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run",
        help="Check the files, and print columns, types, guesses and the first rows as read.",
    ),
]
DEFAULT_SNAPSHOT = "period"
SNAPSHOT = (
    "When the user state of the model's input is renewed: period (at the start of valid, of test "
    "and of each block of train), day or session (GAUC then compares within user x day or user x "
    "session), or impression (real time; biases GAUC)."
)
SNAPSHOT_COLUMN = "Column of the impressions that names the session or the day."
SPLIT = "time:20/50/10/20, per_user:20/50/10/20 (three shares: no pretrain period) or given."


class _Importers(TyperGroup):
    """One command per importer; an importer is imported only when its command is used."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the importers."""
        del ctx
        return plugins.names(PACKAGE)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return the command of an importer.

        Args:
            ctx: Ignored.
            cmd_name: The name of the importer.

        Raises:
            UnknownNameError: No importer has this name.
        """
        del ctx
        return _command(cmd_name, plugins.load(PACKAGE, cmd_name, Importer, "importer"))


app.add_typer(
    typer.Typer(cls=_Importers, no_args_is_help=True),
    name="import",
    help="Read a log in one of these formats into the workspace.",
)


@app.command("list")
def list_datasets(context: typer.Context, json: JsonOption = False) -> None:
    """List the data sets of the workspace."""
    workspace: Workspace = context.obj
    manifests = [impressions.read_manifest(workspace, n) for n in impressions.names(workspace)]
    if not manifests and not json:
        echo(f"no data sets in {workspace.data} yet; `ctrbench datasets import` adds one.")
        return
    show_result(manifests, json, terminal.show_list)


@app.command()
def show(context: typer.Context, name: Name, json: JsonOption = False) -> None:
    """Describe a data set: periods, users, histories, fields, label, split."""
    log = impressions.open_impressions(context.obj, name)
    show_result(impressions.describe(log), json, terminal.show)


@app.command()
def check(context: typer.Context, name: Name, json: JsonOption = False) -> None:
    """Print each guard and its outcome; exit code 1 if one is an error."""
    found = impressions.check(context.obj, name)
    show_result(found, json, terminal_guards.show)
    if any(guard.outcome == "error" for guard in found):
        raise typer.Exit(FAILED)


@app.command()
def export(
    context: typer.Context,
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to create.")],
    format: Annotated[str, typer.Option(help="parquet, fuxictr or recbole.")] = "parquet",
    history_length: Annotated[int, typer.Option(min=1, help="Latest clicks of a history.")] = 50,
    label: Annotated[str | None, typer.Option(help="A further label as the outcome.")] = None,
) -> None:
    """Write train, valid and test, with histories and user states, for models of other libraries.

    The README of the folder describes the columns, and how to import the predictions.
    """
    from ctrbench.exporting import export as exported

    terminal.show_exported(exported(context.obj, name, format, output, history_length, label))


@app.command()
def remove(
    context: typer.Context,
    name: Name,
    yes: YesOption = False,
    with_embeddings: Annotated[
        bool, typer.Option("--with-embeddings", help="Remove its embedding versions as well.")
    ] = False,
) -> None:
    """Remove a data set; stored results stay."""
    workspace: Workspace = context.obj
    if name not in impressions.names(workspace):
        impressions.read_manifest(workspace, name)  # raises the error
    versions = embeddings.names(workspace, name)
    if versions and not with_embeddings:
        raise ConfigError(
            f"data set {name!r} has embedding versions ({', '.join(versions)}); remove them first, "
            "or add --with-embeddings to remove them as well."
        )
    if not yes:
        raise ConfigError(f"removing data set {name!r} cannot be undone; add --yes to confirm.")
    if versions:
        discard(workspace.embeddings / name)
    impressions.remove(workspace, name)
    echo(f"removed data set {name}" + f" and {len(versions)} versions" * bool(versions))


def _command(name: str, importer: type[Importer]) -> Any:
    """Return a command with the importer's fields and the common options."""

    def run(
        context: typer.Context,
        name: str | None,
        split: str | None,
        snapshot: str,
        snapshot_column: str | None,
        quiet: bool,
        like: str | None,
        mapping: Path | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        given = {**options, "split": split, "snapshot": snapshot}
        given["snapshot_column"] = snapshot_column
        given = completed(context, importer, given, like, mapping)
        stored = to_store(importer, {**given, "snapshot": _changed(given["snapshot"])})
        split, *unit = (given.pop(key) for key in COMMON)
        frozen = importing.parse_snapshot(*unit)
        wanted = None if split is None else importing.parse_split(split)
        if dry_run:
            _preview(context.obj, importer(**given), wanted, quiet)
            return
        _run(context.obj, importer(**given), name, wanted, frozen, as_yaml(stored), quiet)

    help_name = "Name of the data set."
    common = [
        parameter("context", typer.Context, inspect.Parameter.empty),
        *options_of(importer),
        parameter(
            "name", Annotated[str | None, typer.Option(help=help_name)], importer.default_name
        ),
        parameter("split", Annotated[str | None, typer.Option(help=SPLIT)], None),
        parameter("snapshot", Annotated[str, typer.Option(help=SNAPSHOT)], DEFAULT_SNAPSHOT),
        parameter(
            "snapshot_column",
            Annotated[str | None, typer.Option(metavar="COLUMN", help=SNAPSHOT_COLUMN)],
            None,
        ),
        parameter("quiet", QuietOption, False),
        parameter("like", LikeOption, None),
        parameter("mapping", MappingOption, None),
        parameter("dry_run", DryRunOption, False),
    ]
    return made_command(name, inspect.getdoc(importer) or "", run, common)


def _changed(snapshot: str) -> str | None:
    """Return the snapshot; None for the default."""
    return None if snapshot == DEFAULT_SNAPSHOT else snapshot


def _preview(workspace: Workspace, importer: Importer, split: Split | None, quiet: bool) -> None:
    """Print how an importer reads the files; the workspace stays unchanged."""
    status = console(err=True, quiet=quiet).status("opening")
    try:
        with importing.database(workspace) as connection, status as shown:
            raw = importer.read(connection, split, shown.update)
            terminal.show_preview(raw)
    except CtrBenchError:
        with importing.database(workspace) as connection:
            terminal.show_files(importer.sources(connection))
        raise


def _run(
    workspace: Workspace,
    importer: Importer,
    name: str | None,
    split: Split | None,
    snapshot: Snapshot,
    options: str,
    quiet: bool,
) -> None:
    """Import a data set and its versions, and print what was imported."""
    if name is None:
        raise ConfigError("name the data set: --name NAME.")
    name = check_name("data set", name)
    was_there = name in impressions.names(workspace)
    with importing.database(workspace) as connection:
        with console(err=True, quiet=quiet).status("opening") as status:
            raw = importer.read(connection, split, status.update)
            raw = replace(raw, snapshot=snapshot, options=options)
            importing.build(workspace, name, raw, status.update)
        found = impressions.describe(impressions.open_impressions(workspace, name))
        terminal.show_imported(found, was_there)
        add_given(workspace, name, raw.versions)  # whose files may exist only during the import
    terminal.show_next(name)
