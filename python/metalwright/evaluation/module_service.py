"""A worker that has one module and calls it: what candidate and baseline have in common.

Both sides of a timing run this same code in processes that came to be in the same way. Two workers
with different histories differ by a tenth in memory-bound calls, from the state of the heap alone.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch

from metalwright.evaluation import poison, stress
from metalwright.evaluation.exchange import (
    ExchangeError,
    Layout,
    load_copied,
    load_mapped,
    load_row,
    tensors_of,
)
from metalwright.evaluation.service import clone, store_at, timed_block, to_device, torch_device
from metalwright.evaluation.torch_state import torch_state
from metalwright.evaluation.weights import copy_weights
from metalwright.evaluation.worker import Refusal
from metalwright.problems.loading import set_seed
from metalwright.runtime import record

_FLUSH_BYTES = 96 << 20


def rehearse(device: torch.device) -> None:
    """Does once what every module's first call does: a tenth of a second, mostly in torch."""
    set_seed(0)
    module = torch.nn.Linear(4, 4).to(device)
    own = module.state_dict()
    copy_weights(own, {name: value.detach().clone() for name, value in own.items()}, own)
    with torch.no_grad(), record():
        module(torch.ones(2, 4, device=device))
    _same(own["bias"], own["bias"])
    poison.fill_freed([16], device)


class ModuleService:
    """Methods called ``command_*`` are requests. A subclass says where the module comes from."""

    def __init__(self) -> None:
        self._device = torch.device("cpu")
        self._module: torch.nn.Module
        self._state: dict[str, torch.Tensor] = {}
        self._watched: dict[str, str] = {}
        self._rows: list[list[Any]] = []
        self._outputs: list[Any] = []
        self._output_bytes: list[int] = []
        self._global_state = torch_state()
        self._flush: torch.Tensor | None = None

    def use_device(self, device: str) -> None:
        """Decides where tensors live, by metalwright's name of the device."""
        self._device = torch_device(device)

    def construct(self, arguments: list[Any], seed: int) -> torch.nn.Module:
        """Makes the module, under the seed."""
        raise NotImplementedError

    def reporting(self) -> AbstractContextManager[None]:
        """Turns what foreign code raises into a `Refusal`."""
        raise NotImplementedError

    def command_build(
        self,
        seed: int,
        init: str,
        init_layout: Layout,
        state: str,
        state_layout: Layout,
        plain: str = "",
    ) -> dict[str, Any]:
        """Constructs the module under the reference's seed, then takes over its weights.

        `plain` is a file like `state` with the weights as the reference's constructor left them,
        where those in `state` are others: it tells which of the module's own they are.
        """
        arguments = load_copied(Path(init), init_layout)
        weights: dict[str, torch.Tensor] = load_copied(Path(state), state_layout)
        drawn = load_copied(Path(plain), state_layout) if plain else weights
        with self.reporting():
            self._module = self.construct(arguments, seed).to(self._device)
            own = self._module.state_dict()
            copied, renamed = copy_weights(own, weights, drawn)
        self._state = {name: own[name].detach().clone() for name in own}
        self._watched = {name: name for name in copied}
        self._watched |= {mine: theirs for theirs, mine in renamed.items()}
        return {
            "copied": len(copied),
            "missing": [name for name in weights if name not in copied],
            "extra": [name for name in own if name not in weights],
            "renamed": renamed,
        }

    def command_call(
        self,
        inputs: str,
        layout: Layout,
        seed: int,
        output: str,
        gaps: bool = False,
        fill: str = "",
    ) -> dict[str, Any]:
        """Calls the module on the inputs of a file and writes what it returns into another.

        `gaps` makes the arguments non-contiguous. `fill` says how memory is poisoned beforehand:
        ``freed`` or ``all``.
        """
        mapped = load_mapped(Path(inputs), layout)
        # On the CPU the call gets the file's own memory, so that the judge sees every change.
        arguments = stress.strided(mapped) if gaps else to_device(mapped, self._device)
        if gaps:
            arguments = to_device(arguments, self._device)
        filled = self._poison(arguments, fill)
        try:
            with self.reporting(), torch.no_grad():
                self._restore()
                set_seed(seed)
                result = self._module(*arguments)
        finally:
            if fill == "all":
                poison.fill_all(False)
        if gaps or self._device.type != "cpu":
            _write_back(arguments, mapped)
        reply = self._reply(result, output)
        return {**reply, "filled": filled, "changed_weights": self._changed_weights()}

    def command_stage(self, path: str, layout: Layout, rows: int) -> dict[str, Any]:
        """Brings the arguments of a timed block into the process's own memory.

        What is timed is a copy in the heap, for reference and candidate alike: reading from the
        mapped exchange file costs up to a fifth of a memory-bound call's time.
        """
        self._outputs = []
        for row in range(rows):
            fresh = load_row(Path(path), layout, row)
            if row == len(self._rows):
                self._rows.append(to_device(clone(fresh), self._device))
                continue
            # Into the same memory: what is remembered by address is wrong now.
            here = tensors_of(self._rows[row], "input")
            for (_, mine), (_, value) in zip(here, tensors_of(fresh, "input"), strict=True):
                mine.copy_(value)
        return {}

    def command_time(self, first: int, calls: int, seed: int) -> dict[str, Any]:
        """Calls the module on `calls` of the staged rows from the `first` one on."""
        with self.reporting(), record() as recorded:
            seconds, self._outputs = timed_block(
                self._module, self._rows[first : first + calls], seed, self._device
            )
        return {
            "seconds": seconds,
            "device_seconds": recorded.seconds if len(recorded) else None,
            "dispatches": len(recorded),
        }

    def command_fetch(self, index: int, output: str) -> dict[str, Any]:
        """Writes an output of the last timed block into a file."""
        return self._reply(self._outputs[index], output)

    def command_flush(self) -> dict[str, Any]:
        """Drives everything out of the caches of this process's cores."""
        if self._flush is None:
            self._flush = torch.ones(_FLUSH_BYTES // 4, device=self._device)
        self._flush.add_(1.0)
        return {}

    def command_release(self) -> dict[str, Any]:
        """Frees what was staged and returned."""
        self._outputs, self._rows, self._flush = [], [], None
        return {}

    def command_state(self) -> dict[str, Any]:
        """Which of torch's global settings are not what they were before the module came."""
        now = torch_state()
        before = self._global_state
        return {
            "changed": [
                f"{name}: {before[name]} -> {now[name]}"
                for name in now
                if now[name] != before[name]
            ]
        }

    def _restore(self) -> None:
        for key, value in self._module.state_dict().items():
            if key in self._state:
                value.copy_(self._state[key])

    def _poison(self, arguments: list[Any], fill: str) -> bool:
        if not fill:
            return False
        sizes = [value.nbytes for _, value in tensors_of(arguments, "input")]
        poison.fill_freed([*sizes, *self._output_bytes], self._device)
        return poison.fill_all(True) if fill == "all" else True

    def _changed_weights(self) -> list[str]:
        """The reference's parameters and buffers that the call has changed, by its names."""
        now = self._module.state_dict()
        return [
            theirs
            for mine, theirs in self._watched.items()
            if mine in now and not _same(now[mine], self._state[mine])
        ]

    def _reply(self, value: Any, path: str) -> dict[str, Any]:
        try:
            layout = store_at(value, path)
        except ExchangeError as error:
            raise Refusal(kind="metadata", message=f"the output cannot be read: {error}") from None
        found = [tensor for _, tensor in tensors_of(value, "output")]
        self._output_bytes = [tensor.nbytes for tensor in found]
        return {"layout": layout, "devices": sorted({tensor.device.type for tensor in found})}


def _same(left: torch.Tensor, right: torch.Tensor) -> bool:
    if left.shape != right.shape or left.dtype != right.dtype:
        return False
    return torch.equal(left, right) or bool(torch.isclose(left, right, 0, 0, True).all())


def _write_back(arguments: list[Any], mapped: list[Any]) -> None:
    # The arguments are copies; the judge looks for changes in the file.
    originals = dict(tensors_of(mapped, "input"))
    for name, value in tensors_of(arguments, "input"):
        originals[name].copy_(value)
