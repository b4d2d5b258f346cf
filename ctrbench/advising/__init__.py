"""Predicts from a log and a version, without training, which injection mode gains how much."""
