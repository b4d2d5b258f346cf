"""`python -m data_synth --out DIR` makes a world and prints its attainable metrics."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from ctrbench.errors import CtrBenchError
from data_synth.world import FEWEST_IMPRESSIONS, KINDS, WorldConfig

USER_MISTAKE = 2  # exit code
DEFAULT = WorldConfig()

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def make(
    out: Annotated[
        Path, typer.Option(help="The workspace of ctrbench into which the world is written.")
    ],
    world: Annotated[
        str,
        typer.Option(help="; ".join(f"{name}: {kind.what}" for name, kind in KINDS.items()) + "."),
    ] = DEFAULT.kind,
    users: Annotated[int, typer.Option(help="1 or more.")] = DEFAULT.users,
    items: Annotated[
        int, typer.Option(help=f"{DEFAULT.categories} or more, one per category.")
    ] = DEFAULT.items,
    impressions: Annotated[
        int, typer.Option(help=f"{FEWEST_IMPRESSIONS} or more.")
    ] = DEFAULT.impressions,
    strength: Annotated[
        float | None,
        typer.Option(help="Weight of style in the click logit; the default depends on the world."),
    ] = DEFAULT.strength,
    alignment: Annotated[
        float | None,
        typer.Option(
            help="World complement: 1 if users like what looks alike, 0 if only what goes together."
        ),
    ] = DEFAULT.alignment,
    roles: Annotated[
        int | None,
        typer.Option(help="World complement: groups of categories; the default is one each."),
    ] = DEFAULT.roles,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = DEFAULT.seed,
    pictures: Annotated[
        int, typer.Option(help="Width of pictures in pixels: 64 or 224; 0 draws none.")
    ] = 64,
    workers: Annotated[
        int, typer.Option(help="Number of threads and processes; does not affect the result.")
    ] = os.cpu_count() or 1,
    plan: Annotated[
        bool, typer.Option("--plan", help="Only print the expected size and time.")
    ] = False,
) -> None:
    """Make a synthetic world: a data set named after it, and versions of its image vectors."""
    from data_synth.writing import plan_world, write_world

    config = WorldConfig(
        world, users, items, impressions, strength, seed, alignment=alignment, roles=roles
    )
    expected = plan_world(config, pictures, workers)
    if plan:
        typer.echo(f"world {world} in {out}: {expected}. Nothing was written.")
        return
    written = write_world(config, out.expanduser().resolve(), pictures, workers, _print_progress)
    counts, versions = written.dataset.counts, ", ".join(written.versions)
    typer.echo(
        f"data set {world} in {out}: {counts['impressions']:,} impressions, {counts['clicks']:,} "
        f"clicks, {counts['users']:,} users, {counts['items']:,} items; versions {versions}.\n"
        f"Attainable in its test period: {written.attainable}."
    )
    if written.sheet is not None:
        typer.echo(f"Contact sheet of the pictures: {written.sheet}")


def _print_progress(what: str, done: int, total: int) -> None:
    """Print progress in one line, on a terminal only."""
    if sys.stderr.isatty():
        share = f" {done}/{total}" if total > 1 else ""
        sys.stderr.write(f"\r\x1b[K{what}{share}" if done < total else "\r\x1b[K")
        sys.stderr.flush()


def main() -> None:
    """Run the command line; errors of the user print their message and exit with code 2."""
    try:
        app()
    except CtrBenchError as error:
        sys.stderr.write(f"data_synth: {error}\n")
        sys.exit(USER_MISTAKE)


if __name__ == "__main__":
    main()
