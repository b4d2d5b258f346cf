"""HOW results are printed: one file per subject. Reads result objects and computes nothing."""
