"""The default run: a world in which vision matters, and one in which it does not."""

from pathlib import Path

# Chosen from results/tables/default_power.md, which `python -m benchmarks.default.pilot` makes.
STRENGTH = 1.0  # of style in the click's logit
IMPRESSIONS = 200_000  # half of them for training: 1,000 steps
USUAL_GAIN_PP = 0.5  # of GAUC; gains that image embeddings bring in production, docs/results.md
FILES = {kind: Path(__file__).parent / f"{kind}.yaml" for kind in ("taste", "null")}


def world(kind: str, seed: int) -> dict[str, object]:
    """Return the options of `python -m data_synth` for a default world.

    Args:
        kind: `taste` or `null`.
        seed: Of the world.
    """
    options: dict[str, object] = {"world": kind, "impressions": IMPRESSIONS, "seed": seed}
    return options | ({"strength": STRENGTH} if kind == "taste" else {})
