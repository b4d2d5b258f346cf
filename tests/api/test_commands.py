"""Every command has a function of the Python API with the same options and defaults."""

import inspect

import pytest
import typer

import ctrbench
from ctrbench.cli.main import app

CALLS = {  # command -> the call that does the same
    "datasets list": "datasets.list",
    "datasets show": "datasets.describe",
    "datasets check": "datasets.check",
    "datasets export": "datasets.export",
    "datasets remove": "datasets.remove",
    "datasets import table": "datasets.import_table",
    "embeddings add": "embeddings.add",
    "embeddings derive": "embeddings.derive",
    "embeddings list": "embeddings.list",
    "embeddings show": "embeddings.describe",
    "embeddings quality": "embeddings.quality",
    "embeddings sheet": "embeddings.sheet",
    "embeddings check": "embeddings.check",
    "embeddings remove": "embeddings.remove",
    "init": "init",
    "advise": "advise",
    "plan": "plan_cells",
    "cells": "list_cells",
    "run-cell": "run_cell",
    "run": "run",
    "status": "status",
    "tables": "tables",
    "pack": "pack",
    "tune": "tune",
    "screen": "screen",
    "pretrain": "pretrain",
    "codebook": "codebook",
    "report": "report",
    "plot": "plot",
    "compare": "compare",
    "import-predictions": "import_predictions",
    "export-predictions": "export_predictions",
    "power": "power",
    "ranks": "ranks",
    "cost": "cost",
    "curve": "curve",
    "history": "history",
    "explain": "explain",
    "export": "export",
    "encode": "encode",
    "list": "list_names",
    "results verify": "verify_results",
    "results merge": "merge_results",
    "results gc": "orphans",
}
PRINTING = {"json", "format", "full", "yes", "output", "file", "report", "dry_run"}
ELSEWHERE = {  # options whose place in a call has another name, or is an argument of `Matrix`
    *("dataset", "versions", "modes", "seeds", "files", "changes", "width", "field", "kind"),
    *(
        "executor",
        "address",
        "gpu_share",
        "max_time",
        "max_memory",
    ),  # of an executor, which `jobs` takes
    *("config", "detail", "quiet", "cell", "name", "version", "a", "b", "method", "against"),
}


def commands(group, prefix=""):
    context = typer.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if hasattr(command, "list_commands"):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


COMMANDS = dict(commands(typer.main.get_command(app)))


def called(name):
    found = ctrbench
    for part in name.split("."):
        found = getattr(found, part)
    return found


def test_every_command_has_a_call():
    importers = {name for name in COMMANDS if name.startswith("datasets import ")}
    assert importers > {"datasets import table"}
    assert {*COMMANDS} - importers | {"datasets import table"} == set(CALLS)
    assert callable(ctrbench.datasets.import_log)  # the other importers


@pytest.mark.parametrize("command", CALLS)
def test_call_has_the_options_of_its_command(command):
    arguments = inspect.signature(called(CALLS[command])).parameters
    options = {one.name for one in COMMANDS[command].params} - PRINTING - ELSEWHERE - {"help"}
    assert options <= set(arguments), f"{command}: {options - set(arguments)}"


@pytest.mark.parametrize("command", CALLS)
def test_defaults_of_call_and_command_are_equal(command):
    arguments = inspect.signature(called(CALLS[command])).parameters
    for option in COMMANDS[command].params:
        if option.name not in arguments or option.name in PRINTING:
            continue
        ours = arguments[option.name].default
        if ours not in (None, (), inspect.Parameter.empty):
            theirs = option.default
            if command == "codebook" and option.name == "size":
                theirs = tuple(int(one) for one in theirs.split(","))
            assert ours == theirs or not (ours or theirs), option.name


def test_table_importer_has_one_argument_per_option():
    arguments = inspect.signature(ctrbench.datasets.import_table).parameters
    options = {one.name for one in COMMANDS["datasets import table"].params}
    assert options - {"help", "quiet", "dry_run"} == set(arguments) - {"progress", "workspace"}
    for name in options & set(arguments):  # the importer has the defaults
        assert arguments[name].default in (None, inspect.Parameter.empty)


@pytest.mark.parametrize("call", sorted(set(CALLS.values())))
def test_calls_document_their_errors_and_arguments(call):
    found = called(call)
    text = inspect.getdoc(found) or ""
    arguments = list(inspect.signature(found).parameters)
    if len(arguments) > 1:
        assert all(f"\n    {name}: " in text for name in arguments), call
    assert found.__annotations__["return"]
