"""The default time limit of a dispatch."""

from __future__ import annotations

import os

from metalwright import _native
from metalwright.errors import Error


def set_deadline(seconds: float | None) -> None:
    """Stops every later dispatch that runs longer with ``DispatchError`` (``deadline-exceeded``).

    ``None`` means no limit, which is also the default unless METALWRIGHT_DEADLINE is set in the
    environment. A call's own ``deadline=`` wins.

    Raises:
        Error: ``bad-deadline`` if it is not a positive number.
    """
    if seconds is not None and not seconds > 0:
        raise Error("bad-deadline", f"a deadline is a positive number of seconds, not {seconds!r}")
    _native.set_default_deadline(None if seconds is None else float(seconds))


def set_deadline_from_environment() -> None:
    """Applies METALWRIGHT_DEADLINE, if it is set."""
    text = os.environ.get("METALWRIGHT_DEADLINE")
    if not text:
        return
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not seconds > 0:
        raise Error(
            "bad-deadline", f"METALWRIGHT_DEADLINE={text!r}: expected a positive number of seconds"
        )
    set_deadline(seconds)


set_deadline_from_environment()
