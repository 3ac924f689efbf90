"""The run store: every attempt of a run in a folder, written so that a run can go on later."""

from metalwright.runs.machine import describe_machine
from metalwright.runs.store import Attempt, RunConfig, RunStore

__all__ = ["Attempt", "RunConfig", "RunStore", "describe_machine"]
