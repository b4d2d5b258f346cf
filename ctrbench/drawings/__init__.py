"""HOW results are drawn by `cost`, `curve` and `explain`: one file per subject."""
