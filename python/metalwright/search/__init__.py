"""How candidates are sought: strategies, budgets, tuning, and the run that ties them together."""

from metalwright.search.drive import Search
from metalwright.search.settings import Limits, SearchSettings
from metalwright.search.workbench import Observer, Workbench

__all__ = ["Limits", "Observer", "Search", "SearchSettings", "Workbench"]
