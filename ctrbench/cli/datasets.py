"""`ctrbench datasets`: import, list, describe, check, export and remove data sets."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from ctrbench import plugins
from ctrbench.api import datasets as api
from ctrbench.api.importing import DEFAULT_SNAPSHOT, PACKAGE, load_importer
from ctrbench.cli._options import FAILED, JsonOption, YesOption
from ctrbench.datasets import Importer
from ctrbench.errors import ConfigError, CtrBenchError
from ctrbench.option_fields import made_command, options_of, parameter
from ctrbench.printable import counted
from ctrbench.terminal import completing
from ctrbench.terminal import datasets as terminal
from ctrbench.terminal import guards as terminal_guards
from ctrbench.terminal.output import echo
from ctrbench.terminal.output import show as show_result
from ctrbench.workspace import Workspace

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
        return _command(cmd_name, load_importer(cmd_name))


app.add_typer(
    typer.Typer(cls=_Importers, no_args_is_help=True),
    name="import",
    help="Read a log in one of these formats into the workspace.",
)


@app.command("list")
def list_datasets(context: typer.Context, json: JsonOption = False) -> None:
    """List the data sets of the workspace."""
    workspace: Workspace = context.obj
    manifests = api.list(workspace)
    if not manifests and not json:
        echo(f"no data sets in {workspace.data} yet; `ctrbench datasets import` adds one.")
        return
    show_result(manifests, json, terminal.show_list)


@app.command()
def show(context: typer.Context, name: Name, json: JsonOption = False) -> None:
    """Describe a data set: periods, users, histories, fields, label, split."""
    show_result(api.describe(name, workspace=context.obj), json, terminal.show)


@app.command()
def check(context: typer.Context, name: Name, json: JsonOption = False) -> None:
    """Print each guard and its outcome; exit code 1 if one is an error."""
    found = api.check(name, workspace=context.obj)
    show_result(found, json, terminal_guards.show)
    if any(guard.outcome == "error" for guard in found):
        raise typer.Exit(FAILED)


@app.command()
def export(
    context: typer.Context,
    name: Name,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to create.")],
    format: Annotated[str, typer.Option(help="parquet, fuxictr or recbole.")] = api.FORMAT,
    history_length: Annotated[int, typer.Option(min=1, help="Latest clicks of a history.")] = (
        api.HISTORY_LENGTH
    ),
    label: Annotated[str | None, typer.Option(help="A further label as the outcome.")] = None,
) -> None:
    """Write train, valid and test, with histories and user states, for models of other libraries.

    The README of the folder describes the columns, and how to import the predictions.
    """
    found = api.export(
        name,
        output,
        format=format,
        history_length=history_length,
        label=label,
        workspace=context.obj,
    )
    terminal.show_exported(found)


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
    api.removable(context.obj, name, with_embeddings)
    if not yes:
        raise ConfigError(f"removing data set {name!r} cannot be undone; add --yes to confirm.")
    versions = api.remove(name, with_embeddings=with_embeddings, workspace=context.obj)
    echo(f"removed data set {name}" + f" and {counted(versions, 'version')}" * bool(versions))


def _command(importer_name: str, importer: type[Importer]) -> Any:
    """Return a command with the importer's fields and the common options."""

    def run(
        context: typer.Context,
        name: str | None,
        quiet: bool,
        like: str | None,
        mapping: Path | None,
        dry_run: bool,
        **options: Any,
    ) -> None:
        given = {option: value for option, value in options.items() if _typed(context, option)}
        common = {"like": like, "mapping": mapping, "workspace": context.obj}
        if dry_run:
            try:
                found = api.preview(importer_name, given, progress=not quiet, **common)
            except CtrBenchError:
                terminal.show_files(api.files(importer_name, given, **common))
                raise
            terminal.show_preview(found)
            return
        made = api.import_log(importer_name, given, name=name, progress=not quiet, **common)
        terminal.show_log(made)
        terminal.show_next(made.described.manifest.name)

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
    return made_command(importer_name, inspect.getdoc(importer) or "", run, common)


def _typed(context: typer.Context, option: str) -> bool:
    """Return whether the command line gives an option."""
    source = context.get_parameter_source(option)
    return source is not None and source.name == "COMMANDLINE"
