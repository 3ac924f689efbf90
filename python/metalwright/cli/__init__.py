"""The command line. Exit codes are in `metalwright.cli.exits` and docs/cli.md."""

from metalwright.cli.app import main

__all__ = ["main"]
