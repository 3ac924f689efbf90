"""The engines of the CPU device against each other."""
