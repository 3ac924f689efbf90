"""What holds for all tests."""

import signal


def pytest_configure() -> None:
    # A shell ignores interrupts in what it starts in the background, and so would the processes
    # that tests start and interrupt.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
