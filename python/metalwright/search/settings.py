"""How candidates are sought: what a run with models is configured by, and keeps."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

StrategyName = Literal["refine", "best-of", "swarm", "evolve", "agent"]


class Limits(BaseModel):
    """What a run may use, all its sessions together. None: as much as it takes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    money: float | None = Field(default=None, ge=0)
    """Dollars."""
    tokens: int | None = Field(default=None, ge=0)
    seconds: float | None = Field(default=None, ge=0)
    """Wall time."""


class SearchSettings(BaseModel):
    """Everything that decides what a search does. A run keeps it, and resuming uses the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[str, ...] = ()
    """``provider:model`` each; none: the offline generator alone."""
    strategy: StrategyName = "refine"
    attempts: int = Field(default=5, ge=1, le=1000)
    """Candidates evaluated per problem; in a swarm rounds, in `evolve` generations."""
    samples: int = Field(default=3, ge=1, le=100)
    """best-of: how many independent first candidates."""
    islands: int = Field(default=2, ge=1, le=16)
    """evolve: groups that exchange their best only now and then."""
    turns: int = Field(default=30, ge=1, le=500)
    """agent: how often the model may answer."""
    repairs: int = Field(default=2, ge=0, le=10)
    """How often an answer without a candidate is sent back."""
    limits: Limits = Limits()
    target_ratio: float | None = Field(default=None, gt=0)
    """Stop when the whole interval of a candidate's ratio is above this."""
    target_roofline: float | None = Field(default=None, gt=0, le=1)
    """Stop when a candidate needs no more than the floor divided by this."""
    effort: str | None = None
    temperature: float | None = Field(default=None, ge=0, le=2)
    max_tokens: int = Field(default=32_000, ge=256)
    start_from_inductor: bool = False
    """The offline candidate is the first attempt, and shown to the model."""
    profile: bool = True
    """Tell the model where a right candidate's time goes."""
    neighbours: int = Field(default=0, ge=0, le=5)
    """How many verified kernels of similar problems from earlier runs are shown."""
    context: dict[str, dict[str, str]] = {}
    """Per problem (``*``: all): title and text of what the user gives besides."""
    tune: bool = True
    tune_trials: int = Field(default=12, ge=0, le=500)
    reuse: bool = False
    """Serve identical requests from the store."""
    seed: int = 0
    problems_at_once: int = Field(default=16, ge=1, le=1024)
    prompts: str = ""
    """Hash of the prompt templates."""
    prompts_folder: str | None = None
    models_file: str | None = None
    unavailable: dict[str, str] = {}
    """Models that were asked for and could not be used, with the reason."""
