"""Exit codes, and how a user's mistake is reported."""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import typer

from metalwright.errors import Error

OK = 0
NOT_CORRECT = 1
USAGE = 2
COMPILE_ERROR = 3
INTERNAL = 70
INTERRUPTED = 130

P = ParamSpec("P")
R = TypeVar("R")


def reporting(command: Callable[P, R]) -> Callable[P, R]:
    """Turns what a command raises into lines on stderr and an exit code.

    With METALWRIGHT_DEBUG set, the traceback comes instead.
    """

    @functools.wraps(command)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        if os.environ.get("METALWRIGHT_DEBUG"):
            return command(*args, **kwargs)
        try:
            return command(*args, **kwargs)
        except Error as error:
            print_error(error)
            raise typer.Exit(USAGE) from None
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            raise typer.Exit(INTERRUPTED) from None
        except BrokenPipeError:
            # The reader of our output has gone; what else there is to print has no reader either.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            raise typer.Exit(OK) from None
        except typer.Exit:
            raise
        except Exception as error:
            sys.stderr.write(
                f"internal error: {type(error).__name__}: {error}\n"
                "  This is a mistake in metalwright. Set METALWRIGHT_DEBUG=1 for the traceback.\n"
            )
            raise typer.Exit(INTERNAL) from None

    return wrapped


def print_error(error: Error) -> None:
    """``error[code]: what and where``, then what to do."""
    first, *rest = error.message.splitlines() or [""]
    lines = [f"error[{error.code}]: {first}", *rest]
    if error.hint:
        lines += [f"  {line}" for line in error.hint.splitlines()]
    sys.stderr.write("\n".join(lines) + "\n")
