"""`python -m ctrbench`."""

from ctrbench.cli import main

main()
