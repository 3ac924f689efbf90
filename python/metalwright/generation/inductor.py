"""Lowering a module with TorchInductor's Metal back end on a machine that has no Metal device.

This file and `inductor_metal` are the only ones that touch private torch interfaces. They are
written for the torch versions in `SUPPORTED`; docs/design/inductor-generator.md says which
interfaces and why. They change global torch state and therefore run in processes of their own
(`metalwright.generation.inductor_worker`).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import nn
from torch.utils import _pytree as pytree

from metalwright.errors import user_error
from metalwright.generation.inductor_metal import (
    decompose,
    first_line,
    generate_code,
    private_state,
    refuse_dtype,
)
from metalwright.generation.lowered import FixedInput, GraphInput, InputKind, LoweredModule

SUPPORTED = ("2.13",)

# What marks a graph as random, and what a graph of which depends on training or evaluation mode.
_RANDOM_OPERATORS = {"inductor_seeds", "multinomial", "randperm", "normal", "poisson", "uniform"}
_MODE_OPERATORS = {
    "batch_norm",
    "instance_norm",
    "dropout",
    "feature_dropout",
    "alpha_dropout",
    "feature_alpha_dropout",
    "native_dropout",
    "rrelu",
    "bernoulli",
}


def check_version() -> None:
    """Refuses a torch whose private interfaces this file was not written for.

    Raises:
        Error: ``unsupported-torch``.
    """
    version = torch.__version__
    if not version.startswith(tuple(f"{known}." for known in SUPPORTED)):
        raise user_error(
            "unsupported-torch", version=version, supported=", ".join(f"{v}.x" for v in SUPPORTED)
        )


def lower_module(module: nn.Module, arguments: Sequence[Any], where: str) -> LoweredModule:
    """Traces ``module(*arguments)`` and lowers it to Metal kernels and a host function.

    `arguments` are values on the CPU; their shapes, strides and dtypes become fixed. The module is
    taken in the mode (training or not) that it is in. `where` names the problem in messages.

    Raises:
        Error: ``unsupported-torch``; ``not-traceable``: torch.export cannot turn forward into a
            graph; ``unsupported-dtype``, ``unsupported-operator``, ``unsupported-result``: the
            graph holds what the Metal back end or a candidate cannot express.
    """
    check_version()
    exported = _export(module, arguments, where)
    paths = _argument_paths(module, arguments)
    inputs, fixed, embedded, examples = _inputs(module, exported, paths, where)
    outputs, kept = _outputs(exported, where)
    with private_state():
        decomposed = decompose(exported.graph_module, examples, kept, where)
        generated = generate_code(decomposed, where)
    symbols = generated.symbols
    for name, value in generated.constants.items():
        inputs.append(_graph_input(name, "embedded", name, value))
        embedded[name] = value
    mode_matters = not _MODE_OPERATORS.isdisjoint(_operator_names(exported.graph_module))
    return LoweredModule(
        kernels=tuple(generated.kernels),
        host=generated.host,
        inputs=tuple(
            GraphInput(
                symbols.get(i.symbol, i.symbol), i.kind, i.target, i.shape, i.stride, i.dtype
            )
            for i in inputs
        ),
        fixed=tuple(fixed),
        outputs=outputs,
        parameters=tuple(paths.names),
        embedded=embedded,
        mutated=tuple(generated.mutated),
        uses_random=not _RANDOM_OPERATORS.isdisjoint(_operator_names(decomposed.graph)),
        training=module.training if mode_matters else None,
    )


# ------------------------------------------------------------------------------ tracing


def _export(
    module: nn.Module, arguments: Sequence[Any], where: str
) -> torch.export.ExportedProgram:
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        refuse_dtype(tensor.dtype, f"{where}: {name}")
    for tensor in pytree.tree_leaves(list(arguments)):
        if isinstance(tensor, torch.Tensor):
            refuse_dtype(tensor.dtype, f"{where}: an input")
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return torch.export.export(module, tuple(arguments), strict=False)
    except Exception as error:
        # Anything may come from here: the tracer's own errors and those of the user's code.
        raise user_error("not-traceable", where=where, reason=first_line(error)) from error


class _ArgumentPaths:
    """The names of forward's arguments and, per flattened argument, how to reach it from them."""

    def __init__(self, names: list[str], expressions: list[str]) -> None:
        self.names = names
        self.expressions = expressions


def _argument_paths(module: nn.Module, arguments: Sequence[Any]) -> _ArgumentPaths:
    names = []
    parameters = list(inspect.signature(module.forward).parameters.values())
    for index in range(len(arguments)):
        plain = index < len(parameters) and parameters[index].kind in (
            inspect.Parameter.POSITIONAL_ONLY,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
        )
        names.append(parameters[index].name if plain else f"input{index}")
    expressions = []
    for path, _ in pytree.tree_flatten_with_path(tuple(arguments))[0]:
        # Positions in tuples and lists, keys in dictionaries.
        first, *rest = (getattr(step, "idx", getattr(step, "key", None)) for step in path)
        assert isinstance(first, int)
        expressions.append(names[first] + "".join(f"[{step!r}]" for step in rest))
    return _ArgumentPaths(names, expressions)


def _inputs(
    module: nn.Module, exported: torch.export.ExportedProgram, paths: _ArgumentPaths, where: str
) -> tuple[list[GraphInput], list[FixedInput], dict[str, Any], list[Any]]:
    """The graph's placeholders in order: described, and (for tensors) as CPU examples."""
    kinds = torch.export.graph_signature.InputKind
    placeholders = [n for n in exported.graph_module.graph.nodes if n.op == "placeholder"]
    expressions = iter(paths.expressions)
    inputs: list[GraphInput] = []
    fixed: list[FixedInput] = []
    embedded: dict[str, Any] = {}
    examples: list[Any] = []
    for node, spec in zip(placeholders, exported.graph_signature.input_specs, strict=True):
        value = node.meta.get("val")
        kind: InputKind
        if spec.kind is kinds.USER_INPUT:
            kind, target = "user", next(expressions)
            if not isinstance(value, torch.Tensor):
                constant = getattr(spec.arg, "value", value)
                fixed.append(FixedInput(target, constant))
                examples.append(constant)
                continue
        elif spec.kind is kinds.PARAMETER:
            kind, target = "parameter", str(spec.target)
        elif spec.kind is kinds.BUFFER:
            kind, target = "buffer", str(spec.target)
        elif spec.kind is kinds.CONSTANT_TENSOR:
            target = str(spec.target)
            if _is_attribute(module, target):
                kind = "constant"
            else:
                kind = "embedded"
                embedded[target] = exported.constants[target]
        else:
            raise user_error(
                "not-traceable", where=where, reason=f"a graph input of kind {spec.kind.name}"
            )
        assert isinstance(value, torch.Tensor)
        refuse_dtype(value.dtype, f"{where}: {target}")
        inputs.append(_graph_input(node.name, kind, target, value))
        examples.append(value)
    return inputs, fixed, embedded, examples


def _graph_input(symbol: str, kind: InputKind, target: str, value: torch.Tensor) -> GraphInput:
    return GraphInput(
        symbol,
        kind,
        target,
        tuple(int(n) for n in value.shape),
        tuple(int(n) for n in value.stride()),
        str(value.dtype),
    )


def _is_attribute(module: nn.Module, target: str) -> bool:
    owner: Any = module
    for part in target.split("."):
        if not hasattr(owner, part):
            return False
        owner = getattr(owner, part)
    return isinstance(owner, torch.Tensor)


def _outputs(exported: torch.export.ExportedProgram, where: str) -> tuple[str, list[int]]:
    """The result's structure as an expression, and which of the graph's outputs are its tensors."""
    spec = exported.call_spec.out_spec
    assert spec is not None
    output = next(n for n in exported.graph_module.graph.nodes if n.op == "output")
    leaves = list(output.args[0])
    kept = [i for i, leaf in enumerate(leaves) if isinstance(leaf, torch.fx.Node)]
    if not kept:
        raise user_error("problem-output", where=where, reason="Model.forward returns no tensor")
    texts = iter(
        [f"{{{kept.index(i)}}}" if i in kept else repr(leaf) for i, leaf in enumerate(leaves)]
    )
    return _structure(spec, texts, where), kept


def _structure(spec: pytree.TreeSpec, texts: Iterator[str], where: str) -> str:
    if spec.is_leaf():
        return next(texts)
    parts = [_structure(spec.child(i), texts, where) for i in range(spec.num_children)]
    if spec.type is tuple:
        return f"({parts[0]},)" if len(parts) == 1 else f"({', '.join(parts)})"
    if spec.type is list:
        return f"[{', '.join(parts)}]"
    if spec.type.__module__ == "torch.return_types":
        return f"torch.return_types.{spec.type.__name__}(({', '.join(parts)}))"
    if spec.type is dict:
        pairs = zip(spec.context, parts, strict=True)
        return "{{" + ", ".join(f"{key!r}: {part}" for key, part in pairs) + "}}"
    raise user_error(
        "unsupported-result", where=where, reason=f"a {spec.type.__name__} in the result"
    )


def _operator_names(graph: torch.fx.GraphModule) -> set[str]:
    return {
        getattr(node.target, "__name__", "").split(".")[0].rstrip("_")
        for node in graph.graph.nodes
        if node.op == "call_function"
    }
