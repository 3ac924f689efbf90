"""Judge and worker: is a candidate right, is it its own work, and how fast is it?"""

from metalwright.evaluation.feedback import for_model, for_people
from metalwright.evaluation.judge import Judge, evaluate
from metalwright.evaluation.model import Evaluation, Evidence, Flag, Settings, Timing, Verdict

__all__ = [
    "Evaluation",
    "Evidence",
    "Flag",
    "Judge",
    "Settings",
    "Timing",
    "Verdict",
    "evaluate",
    "for_model",
    "for_people",
]
