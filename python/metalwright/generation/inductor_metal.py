"""From a graph of torch operators to Metal kernels: decomposition, TorchInductor's passes and its
Metal back end.

The half of the private torch interfaces that is Inductor's own; `metalwright.generation.inductor`
has the version gate and the tracing.
"""

from __future__ import annotations

import json
import logging
import textwrap
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch.fx.node import map_aggregate
from torch.utils import _pytree as pytree

from metalwright.errors import Error, user_error
from metalwright.generation.lowered import MetalKernel

aten = torch.ops.aten

# Left out of the names of kernels, unless there is nothing else.
_VIEWS = {
    "alias",
    "clone",
    "expand",
    "lift_fresh_copy",
    "permute",
    "select",
    "slice",
    "split",
    "squeeze",
    "t",
    "transpose",
    "unsqueeze",
    "view",
}


@dataclass(frozen=True)
class Decomposed:
    """A graph in the operators that Inductor lowers, still on the CPU.

    ``inputs`` gives for each of its placeholders the one of the exported graph. ``mutated`` are the
    placeholders into which the last outputs are to be copied. ``mode`` is its fake tensors'.
    """

    graph: torch.fx.GraphModule
    mode: Any
    inputs: dict[str, str]
    mutated: list[str]


@dataclass(frozen=True)
class Generated:
    """Inductor's code: kernels, the host function's body, and what its symbols stand for.

    ``symbols`` maps placeholders of the exported graph to the host's names, ``constants`` further
    names to tensors; ``mutated`` are names as in `Decomposed`.
    """

    kernels: list[MetalKernel]
    host: str
    symbols: dict[str, str]
    constants: dict[str, torch.Tensor]
    mutated: list[str]


# ------------------------------------------------------------------------------ decomposing


class _Decomposing(torch.fx.Interpreter):
    """Replaces what has another meaning per device by what every device has."""

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        if target is aten.scaled_dot_product_attention.default:
            # The fused CPU form exists on the CPU only, that of MPS only there.
            return aten._scaled_dot_product_attention_math.default(*args, **kwargs)[0]
        if target is aten.dropout.default:
            return aten.native_dropout.default(*args, **kwargs)[0] if args[2] else args[0]
        return super().call_function(target, args, kwargs)


def _bernoulli(self: torch.Tensor, p: float = 0.5, generator: Any = None) -> torch.Tensor:
    return (torch.rand_like(self, dtype=torch.float32) < p).to(self.dtype)


def _matrix_vector(left: torch.Tensor, right: torch.Tensor) -> Any:
    """Batches of matrices by one vector each are sums, which can be one kernel with what surrounds
    them. Inductor does so for the CPU, but only when it lowers."""
    if left.size(1) == 1 or right.size(2) == 1:
        return (left.unsqueeze(3) * right.unsqueeze(1)).sum(2)
    return NotImplemented


def _decomposition_table() -> dict[Any, Callable[..., Any]]:
    from torch._inductor.decomposition import select_decomp_table

    table = dict(select_decomp_table())
    # These three look for the CPU, on which the trace runs, and would unfold small matmuls.
    for operator in (aten.mm.default, aten.addmm.default, aten.bmm.default):
        table.pop(operator, None)
    # These would become a primitive that has no public form; the operators themselves stay.
    for overload in (
        aten.normal.Tensor_float,
        aten.normal.Tensor_Tensor,
        aten.normal.float_Tensor,
        aten.normal.float_float,
    ):
        table.pop(overload, None)
    table[aten.bernoulli.p] = _bernoulli
    table[aten.bmm.default] = _matrix_vector
    return table


def decompose(
    graph: torch.fx.GraphModule, examples: list[Any], kept: list[int], where: str
) -> Decomposed:
    """Rewrites an exported graph without mutation, in the operators that Inductor lowers.

    `examples` are values of its placeholders, `kept` the positions of the tensors in its output.

    Raises:
        Error: ``not-traceable``.
    """
    from torch._dispatch.python import enable_python_dispatcher
    from torch._subclasses import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.traceback import preserve_node_meta

    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(value: Any) -> Any:
        return torch.empty_strided(value.shape, value.stride(), dtype=value.dtype)

    tensors = [i for i, example in enumerate(examples) if isinstance(example, torch.Tensor)]

    def run(*values: torch.Tensor) -> list[Any]:
        every = list(examples)
        for index, value in zip(tensors, values, strict=True):
            every[index] = value
        result = _Decomposing(graph).run(*every)
        return [result[i] for i in kept]

    try:
        with (
            mode,
            torch.no_grad(),
            enable_python_dispatcher(),
            preserve_node_meta(),
            # Decompositions would choose oneDNN's recurrent layers, which only the CPU has.
            torch.backends.mkldnn.flags(enabled=False),
        ):
            fakes = [fake(examples[i]) for i in tensors]
            functional = make_fx(torch.func.functionalize(run), tracing_mode="real")(*fakes)

            def rerun(*values: torch.Tensor) -> Any:
                return torch.fx.Interpreter(functional).run(*values)

            # A second pass, since decompositions need the functional form of random operators.
            result: torch.fx.GraphModule = make_fx(
                torch.func.functionalize(rerun),
                decomposition_table=_decomposition_table(),
                tracing_mode="real",
            )(*fakes)
    except Exception as error:
        raise user_error("not-traceable", where=where, reason=first_line(error)) from error
    names = [n.name for n in graph.graph.nodes if n.op == "placeholder"]
    placeholders = [n for n in result.graph.nodes if n.op == "placeholder"]
    return Decomposed(
        graph=result,
        mode=mode,
        inputs={node.name: names[index] for node, index in zip(placeholders, tensors, strict=True)},
        mutated=_return_mutations(result),
    )


def _return_mutations(graph: torch.fx.GraphModule) -> list[str]:
    """Turns every write to an input into one more output, and returns those inputs' names in order.

    Inductor would let the kernel write to the input itself. In a reduction kernel all threads of a
    group then read the old value and store the new one without a barrier between: a race.
    """
    output = next(node for node in graph.graph.nodes if node.op == "output")
    mutated: dict[str, torch.fx.Node] = {}
    for node in list(graph.graph.nodes):
        if node.target is aten.copy_.default and node.args[0].op == "placeholder":
            mutated[node.args[0].name] = node.args[1]
            node.replace_all_uses_with(node.args[1])
            graph.graph.erase_node(node)
    output.args = ([*output.args[0], *mutated.values()],)
    graph.recompile()
    return list(mutated)


# ------------------------------------------------------------------------------ code generation


def generate_code(decomposed: Decomposed, where: str) -> Generated:
    """Runs Inductor's passes and its Metal back end.

    Raises:
        Error: ``unsupported-operator``, ``unsupported-dtype``.
    """
    from torch._inductor.debug import DebugContext
    from torch._inductor.fx_passes.joint_graph import joint_graph_passes
    from torch._inductor.fx_passes.post_grad import post_grad_passes, view_to_reshape
    from torch._inductor.graph import GraphLowering
    from torch._inductor.virtualized import V
    from torch.fx.passes.fake_tensor_prop import FakeTensorProp

    graph, mode = decomposed.graph, decomposed.mode
    placeholders = [n for n in graph.graph.nodes if n.op == "placeholder"]
    try:
        with V.set_fake_mode(mode), V.set_debug_handler(DebugContext()), torch.no_grad():
            graph = joint_graph_passes(graph)
            view_to_reshape(graph)  # type: ignore[no-untyped-call]
            fakes = [node.meta["val"] for node in placeholders]
            FakeTensorProp(graph, mode=mode).propagate_dont_convert_inputs(*fakes)
            post_grad_passes(graph, is_inference=True)
            _refuse_dtypes(graph, where)
            _move_to_metal(graph, mode)
            fakes = [n.meta["val"] for n in graph.graph.nodes if n.op == "placeholder"]
            lowering = GraphLowering(
                graph, example_inputs=fakes, is_inference=True, layout_opt=False
            )
            with V.set_graph_handler(lowering), V.set_extern_kernel_nodes([]):
                _KernelSink.kernels = []
                lowering.run(*fakes)
                code, _ = lowering.codegen()
    except Error:
        raise
    except Exception as error:
        raise user_error("unsupported-operator", where=where, reason=_reason(error)) from error
    given = {
        node.name: name for node, name in zip(placeholders, lowering.graph_input_names, strict=True)
    }
    return Generated(
        kernels=_KernelSink.kernels,
        host=_host_body(code.value),
        symbols={decomposed.inputs[node]: name for node, name in given.items()},
        constants=dict(lowering.constants),
        mutated=[given[node] for node in decomposed.mutated],
    )


def _refuse_dtypes(graph: torch.fx.GraphModule, where: str) -> None:
    for node in graph.graph.nodes:
        for value in pytree.tree_leaves(node.meta.get("val")):
            if isinstance(value, torch.Tensor):
                refuse_dtype(value.dtype, f"{where}: the result of {node.name}")


def _move_to_metal(graph: torch.fx.GraphModule, mode: Any) -> None:
    """Rewrites every device in the graph to a Metal device that need not exist."""
    from torch._subclasses import FakeTensor
    from torch.utils._mode_utils import no_dispatch

    metal = torch.device("mps", 0)

    def move(value: Any) -> Any:
        if isinstance(value, torch.device):
            return metal
        if isinstance(value, FakeTensor):
            with no_dispatch():
                meta = torch.empty_strided(
                    value.shape, value.stride(), dtype=value.dtype, device="meta"
                )
            return FakeTensor(mode, meta, metal)
        return value

    for node in graph.graph.nodes:
        node.args = map_aggregate(node.args, move)
        node.kwargs = map_aggregate(node.kwargs, move)
        if "val" in node.meta:
            node.meta["val"] = pytree.tree_map(move, node.meta["val"])


def _host_body(code: str) -> str:
    """The body of the function `call` in Inductor's wrapper module, dedented."""
    lines = code.splitlines()
    start = next(i for i, line in enumerate(lines) if line == "def call(args):")
    indent = len(lines[start]) - len(lines[start].lstrip())
    body = []
    for line in lines[start + 1 :]:
        if line.strip() and len(line) - len(line.lstrip()) <= indent:
            break
        body.append(line)
    return textwrap.dedent("\n".join(body)).strip()


class _KernelSink:
    """Where the back end's kernels are collected: its scheduler is made by Inductor, not by us."""

    kernels: ClassVar[list[MetalKernel]] = []


def _register_back_end() -> None:
    """Makes Inductor use its Metal back end with these changes: kernels are collected instead of
    compiled, each includes only the headers it needs, gaps in its operators are filled, and the
    messages of assertions are strings."""
    from torch._inductor.codegen import common, mps
    from torch._inductor.codegen.wrapper import PythonWrapperCodegen
    from torch._inductor.virtualized import V
    from torch.utils._ordered_set import OrderedSet

    class Overrides(mps.MetalOverrides):
        @staticmethod
        def logical_xor(a: Any, b: Any) -> str:
            return f"static_cast<bool>({a}) != static_cast<bool>({b})"

        @staticmethod
        def hypot(a: Any, b: Any) -> str:
            return f"metal::precise::sqrt({a} * {a} + {b} * {b})"

    def unary(name: str) -> Any:
        return staticmethod(lambda x: f"metal::precise::{name}(static_cast<float>({x}))")

    def binary(name: str) -> Any:
        return staticmethod(
            lambda a, b: f"metal::{name}(static_cast<float>({a}), static_cast<float>({b}))"
        )

    for name in ("sinh", "cosh", "asinh", "acosh"):
        setattr(Overrides, name, unary(name))
    for name in ("copysign", "nextafter"):
        setattr(Overrides, name, binary(name))

    class Kernel(mps.MetalKernel):
        overrides = Overrides

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            # In torch 2.13 both are attributes of the class: kernels would inherit each other's.
            self.headers = OrderedSet(["utils"])
            self.multistage_reduction_entry = []

        def device_assert_async(self, cond: Any, msg: str) -> None:
            # Inductor writes the message in single quotes, which C++ reads as a number.
            self.headers.add("error")
            self.compute.writelines(
                [
                    f"if (!{cond}) {{",
                    f"    TORCH_REPORT_ERROR(error_buf, {json.dumps(msg)});",
                    "    return;",
                    "}",
                ]
            )

    class Scheduling(mps.MetalScheduling):
        kernel_type = Kernel

        def define_kernel(self, src_code: str, node_schedule: Any, kernel: Any) -> str:
            known = V.graph.wrapper_code.src_to_kernel
            if src_code not in known:
                operators = _operators(node_schedule)
                name = _kernel_name(operators, len(_KernelSink.kernels))
                opening, closing = "compile_mps_shader('''", "''')"
                begin = src_code.index(opening) + len(opening)
                text = textwrap.dedent(src_code[begin : src_code.rindex(closing)]).strip()
                text = text.replace("kernel void generated_kernel(", f"kernel void {name}(", 1)
                _KernelSink.kernels.append(MetalKernel(name, text + "\n", operators))
                known[src_code] = name
            return str(known[src_code])

    common.init_backend_registration()
    common.register_backend_for_device("mps", Scheduling, PythonWrapperCodegen)


def _operators(node_schedule: Any) -> tuple[str, ...]:
    """The names of the operators, as the module's author would know them, fused in a kernel."""
    from torch._inductor.codegen.simd_kernel_features import DisableReduction, EnableReduction

    found: dict[str, None] = {}
    for entry in node_schedule:
        if entry in (DisableReduction, EnableReduction) or getattr(entry, "node", None) is None:
            continue
        for origin in sorted(entry.node.get_origins(), key=lambda node: node.name):
            operator = origin.meta.get("original_aten") or origin.target
            packet = getattr(operator, "overloadpacket", operator)
            found[getattr(packet, "__name__", str(packet)).strip("_")] = None
    return tuple(name for name in found if name not in _VIEWS) or tuple(found)


def _kernel_name(operators: Sequence[str], index: int) -> str:
    """A valid identifier that says what is fused, such as ``fused_add_native_layer_norm_1``."""
    words = "_".join(operator for operator in operators if operator.isidentifier())
    return f"fused_{words[:48].rstrip('_')}_{index}" if words else f"fused_{index}"


@contextmanager
def private_state() -> Iterator[None]:
    """The global torch state under which lowering works: registered once per process."""
    import torch._inductor.config as config
    from torch._inductor.fx_passes import fuse_attention

    global _registered
    if not _registered:
        _register_back_end()
        # Asked by the heuristics for matmul templates, which Metal does not have.
        torch.backends.mps.get_core_count = lambda: 8  # type: ignore[assignment]
        # Would replace a softmax between two matmuls by the traced device's attention operator.
        fuse_attention._sfdp_init = lambda *args, **kwargs: None  # type: ignore[assignment]
        _registered = True
    logging.getLogger("torch._inductor").setLevel(logging.CRITICAL)
    with (
        warnings.catch_warnings(),
        config.patch(
            compile_threads=1,
            cpp_wrapper=False,
            max_autotune=False,
            comprehensive_padding=False,
            graph_partition=False,
            fallback_random=False,
            assert_indirect_indexing=True,
            size_asserts=True,
            alignment_asserts=False,
            # Metal binds 31 buffers: sizes and error flags take a few besides inputs and outputs.
            max_fusion_unique_io_buffers=28,
        ),
    ):
        warnings.simplefilter("ignore")
        yield


_registered = False


# ------------------------------------------------------------------------------ messages


def refuse_dtype(dtype: torch.dtype, where: str) -> None:
    """Raises ``unsupported-dtype`` for what Metal does not have."""
    if dtype in (torch.float64, torch.complex128, torch.complex64):
        raise user_error("unsupported-dtype", where=where, dtype=str(dtype).removeprefix("torch."))


def first_line(error: BaseException) -> str:
    """An exception as one line: its type and the first line of its text."""
    text = str(error).strip()
    line = text.splitlines()[0] if text else ""
    return f"{type(error).__name__}: {line}" if line else type(error).__name__


def _reason(error: BaseException) -> str:
    """What Inductor could not do; its own exceptions are often empty, so name the operator."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    if isinstance(error, NotImplementedError) and not str(error) and frame is not None:
        return f"Inductor's Metal back end has no {frame.tb_frame.f_code.co_name}"
    if isinstance(error, KeyError) and error.args and isinstance(error.args[0], torch.dtype):
        return f"Metal has no {error.args[0]}"
    return first_line(error)
