"""Figures of baselines, kept per problem, sizes, device, machine and version of torch."""

from __future__ import annotations

import hashlib
import json

import torch
from pydantic import ValidationError

from metalwright.evaluation import cache
from metalwright.evaluation.exchange import Layout
from metalwright.evaluation.model import Baseline, Settings
from metalwright.problems import Problem


def key_of(problem: Problem, settings: Settings, layout: Layout, kind: str) -> str:
    """Names everything that the figure depends on."""
    digest = hashlib.sha256(problem.source.encode())
    digest.update(problem.archive or b"")
    shapes = [[entry["dtype"], entry["shape"]] for entry in layout["tensors"]]
    parts = [settings.device, torch.__version__, cache.machine(), shapes, kind]
    digest.update(json.dumps(parts).encode())
    return f"baselines/{digest.hexdigest()[:32]}.json"


def read(key: str) -> Baseline | None:
    """The figure, if there is one."""
    try:
        found = Baseline.model_validate(cache.read(key))
    except ValidationError:
        return None
    return found.model_copy(update={"cached": True})


def write(key: str, baseline: Baseline) -> None:
    """Keeps a figure."""
    cache.write(key, baseline.model_dump(mode="json"))
