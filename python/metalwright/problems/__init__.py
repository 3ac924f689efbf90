"""What is to be optimised: KernelBench-format files, modules with example inputs, folders."""

from metalwright.problems.problem import Problem
from metalwright.problems.source import parse_override
from metalwright.problems.suite import BrokenProblem, load_suite

__all__ = ["BrokenProblem", "Problem", "load_suite", "parse_override"]
