"""The command line: parse, call, print."""

from ctrbench.cli.main import main

__all__ = ["main"]
