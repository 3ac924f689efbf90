"""Correct kernels made wrong in known ways, to measure what the sanitiser finds."""
