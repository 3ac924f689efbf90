"""What kernels write with ``os_log``, as records of Python's `logging`.

The logger is ``metalwright.kernel``, or ``metalwright.kernel.<subsystem>.<category>`` for an
``os_log`` object with names of its own; a record has ``kernel``, ``subsystem`` and ``category``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

LOGGER = "metalwright.kernel"
# os_log_type: default, info, debug, error, fault.
_LEVELS = {
    0: logging.INFO,
    1: logging.INFO,
    2: logging.DEBUG,
    16: logging.ERROR,
    17: logging.CRITICAL,
}


def deliver(kernel: str, messages: Iterable[tuple[int, str, str, str]], dropped: int) -> None:
    """Logs the messages of a dispatch: os_log type, subsystem, category, text."""
    for kind, subsystem, category, text in messages:
        name = ".".join(part for part in (LOGGER, subsystem, category) if part)
        extra = {"kernel": kernel, "subsystem": subsystem, "category": category}
        logging.getLogger(name).log(_LEVELS.get(kind, logging.INFO), "%s", text, extra=extra)
    if dropped:
        logging.getLogger(LOGGER).warning(
            "kernel %r wrote %d more messages than are kept", kernel, dropped
        )
