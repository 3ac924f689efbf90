"""Where candidates come from."""

from metalwright.generation.candidate import Candidate
from metalwright.generation.generator import Generator
from metalwright.generation.inductor_generator import InductorGenerator

__all__ = ["Candidate", "Generator", "InductorGenerator"]
