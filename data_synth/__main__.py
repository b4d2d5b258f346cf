"""`python -m data_synth --out DIR`: make a world and say what is attainable in it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from ctrbench.errors import CtrBenchError
from data_synth.world import FEWEST_IMPRESSIONS, KINDS, WorldConfig
from data_synth.writing import write_world

USER_MISTAKE = 2  # exit code
DEFAULT = WorldConfig()

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def make(
    out: Annotated[Path, typer.Option(help="Folder that becomes a workspace of ctrbench.")],
    world: Annotated[str, typer.Option(help=f"One of: {', '.join(KINDS)}.")] = DEFAULT.kind,
    users: Annotated[int, typer.Option(help="1 or more.")] = DEFAULT.users,
    items: Annotated[
        int, typer.Option(help=f"{DEFAULT.categories} or more, one for each category.")
    ] = DEFAULT.items,
    impressions: Annotated[
        int, typer.Option(help=f"{FEWEST_IMPRESSIONS} or more.")
    ] = DEFAULT.impressions,
    strength: Annotated[
        float | None,
        typer.Option(help="Weight of style in the click's logit; else the world's own."),
    ] = DEFAULT.strength,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = DEFAULT.seed,
) -> None:
    """Make a synthetic world: a data set named after it, and versions of its image vectors."""
    config = WorldConfig(world, users, items, impressions, strength, seed)
    written = write_world(config, out.expanduser().resolve())
    counts, versions = written.dataset.counts, ", ".join(written.versions)
    typer.echo(
        f"data set {world} in {out}: {counts['impressions']:,} impressions, {counts['clicks']:,} "
        f"clicks, {counts['users']:,} users, {counts['items']:,} items; versions {versions}.\n"
        f"Attainable in its test period: {written.attainable}."
    )


def main() -> None:
    """Run the command line; a user's mistake ends with its message and exit code 2."""
    try:
        app()
    except CtrBenchError as error:
        sys.stderr.write(f"data_synth: {error}\n")
        sys.exit(USER_MISTAKE)


if __name__ == "__main__":
    main()
