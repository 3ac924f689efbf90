"""Writing a lowered module as the Python file of a candidate."""

from __future__ import annotations

import base64
import builtins
import keyword
import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

from metalwright.errors import user_error
from metalwright.generation.host_code import HostCode
from metalwright.generation.lowered import GraphInput, LoweredModule
from metalwright.generation.reference import module_definitions

# A constant up to this many elements is written as numbers, a larger one packed.
_WRITTEN_ELEMENTS = 64
_PACKED_BYTES = 1 << 20
_RESERVED = {"torch", "nn", "metalwright", "device", "errors", "self", "view", "with_strides"}

# What the file defines besides kernels and constants.
_OWN_NAMES = frozenset(
    [
        *("MetalKernel", "checked", "with_strides", "fixed", "view", "unpack", "add", "parameter"),
        *("ERROR_WORDS", "ERROR_TEXT", "raise_for", "metalwright"),
        *("functools", "without_gradients"),
    ]
)
_IMPORTS = ("import torch", "from torch import nn")

_KERNEL_CLASS = '''
class MetalKernel:
    """A kernel that is compiled when it is first called on a device."""

    DEVICES = {"cpu": "cpu", "mps": "metal", "cuda": "cuda"}

    def __init__(self, name, source):
        self.name = name
        self.source = source
        self.compiled = {}

    def __call__(self, *tensors, **grid):
        device = tensors[0].device
        kernel = self.compiled.get(device)
        if kernel is None:
            library = metalwright.compile(
                self.source, device=self.DEVICES[device.type], file_name=f"{self.name}.metal"
            )
            kernel = self.compiled[device] = library.kernel(self.name)
        kernel(*tensors, **grid)


def without_gradients(forward):
    """As torch.no_grad(), but free where gradients are off already."""

    @functools.wraps(forward)
    def call(*arguments, **named):
        if not torch.is_grad_enabled():
            return forward(*arguments, **named)
        with torch.no_grad():
            return forward(*arguments, **named)

    return call
'''

_CHECKED = '''
def checked(tensor, name, shape, stride, dtype):
    """The tensor, copied if it is laid out in memory otherwise than the kernels expect."""
    if tensor.shape == shape and tensor.stride() == stride and tensor.dtype == dtype:
        return tensor
    if tuple(tensor.shape) != shape or tensor.dtype != dtype:
        raise ValueError(
            f"{name} is {tensor.dtype} of shape {tuple(tensor.shape)}; "
            f"these kernels were made for {dtype} of shape {shape}"
        )
    return with_strides(tensor, shape, stride)


def with_strides(tensor, shape, stride):
    found = tensor.stride()
    if found == stride or all(a == b for n, a, b in zip(shape, found, stride) if n > 1):
        return tensor
    return tensor.new_empty_strided(shape, stride).copy_(tensor)
'''

_FIXED = """
def fixed(value, expected, name):
    if value != expected:
        raise ValueError(f"{name} is {value!r}; these kernels were made for {expected!r}")
"""

_VIEW = '''
def view(tensor, shape, stride, offset):
    """The tensor's memory seen with another shape, from `offset` elements after its first one."""
    return tensor.as_strided(shape, stride, tensor.storage_offset() + offset)
'''

_ERRORS = '''
# What c10/metal/error.h declares as ErrorMessages: a counter and 30 messages of 512 bytes.
ERROR_WORDS = 1 + 30 * 512 // 4
ERROR_TEXT = slice(4 + 256, 4 + 506)


def raise_for(errors):
    """Raises what a kernel reported: an index outside its tensor."""
    # Elsewhere this would stall the queue; a bad index is skipped there, and nothing is raised.
    if errors.device.type == "cpu" and errors[0].item() != 0:
        text = bytes(errors.view(torch.uint8)[ERROR_TEXT].tolist()).split(b"\\0")[0]
        raise IndexError(text.decode(errors="replace"))
'''

_UNPACK = '''
def unpack(text, shape, dtype):
    """A constant tensor from its compressed bytes."""
    data = bytearray(zlib.decompress(base64.b85decode(text)))
    return torch.frombuffer(data, dtype=dtype).reshape(shape)
'''

_ADD = '''
def add(module, name, tensor, persistent=None):
    """Registers a parameter (`persistent` is None) or buffer under its dotted name."""
    *path, last = name.split(".")
    for part in path:
        if not hasattr(module, part):
            module.add_module(part, nn.Module())
        module = getattr(module, part)
    if persistent is None:
        module.register_parameter(last, tensor)
    else:
        module.register_buffer(last, tensor, persistent=persistent)


def parameter(shape, dtype):
    return nn.Parameter(torch.zeros(shape, dtype=dtype), requires_grad=dtype.is_floating_point)
'''


def write_candidate(
    lowered: LoweredModule, module: nn.Module, source: str | None, where: str, made_with: str
) -> str:
    """Returns the file's text.

    `source` is the problem file, whose constructor the candidate repeats; without it, parameters
    and buffers are registered one by one by name. `where` names the problem; `made_with` goes into
    the file's docstring.

    Raises:
        Error: ``unsupported-operator``, ``constant-too-large``.
    """
    return _Writer(lowered, module, source, where, made_with).text()


class _Writer:
    def __init__(
        self,
        lowered: LoweredModule,
        module: nn.Module,
        source: str | None,
        where: str,
        made_with: str,
    ) -> None:
        self._lowered = lowered
        self._module = module
        self._where = where
        self._made_with = made_with
        self._definitions = module_definitions(source, _OWN_NAMES) if source else None
        kernels = {kernel.name for kernel in lowered.kernels}
        self._names = dict(_local_names(lowered, {name.upper() for name in kernels}))
        self._host = HostCode(lowered.host, self._names, kernels, where)
        self._constants: dict[str, str] = {}

    def text(self) -> str:
        forward = textwrap.indent(self._forward(), "    ")
        if self._definitions is not None:
            before, model = self._definitions
        else:
            before, model = "", self._registered_model()
        blocks = [
            f'"""{self._where}\n\n{self._made_with}\n"""',
            self._imports(),
            *self._helpers(),
            *(self._kernel(kernel.name) for kernel in self._lowered.kernels),
            *(f"{name} = {value}" for name, value in self._constants.items()),
            "\n".join(line for line in before.splitlines() if line not in _IMPORTS).strip(),
            _without_pass(model) + "\n\n" + forward,
        ]
        text = "\n\n\n".join(block.strip("\n") for block in blocks if block.strip())
        return re.sub(r"\n{3,}", "\n\n\n", text) + "\n"

    # -------------------------------------------------------------------------- top of the file

    def _imports(self) -> str:
        packed = any("unpack(" in value for value in self._constants.values())
        standard = "import base64\nimport functools\nimport zlib" if packed else "import functools"
        return standard + "\n\n" + "\n".join(_IMPORTS) + "\n\nimport metalwright"

    def _helpers(self) -> Iterator[str]:
        host = self._host
        yield _KERNEL_CLASS
        checked = any(i.kind == "user" for i in self._inputs())
        if checked or host.uses_strides:
            yield _CHECKED
        if self._lowered.fixed:
            yield _FIXED
        if host.uses_views:
            yield _VIEW
        if host.checks_indices:
            yield _ERRORS
        if any("unpack(" in value for value in self._constants.values()):
            yield _UNPACK
        if self._definitions is None:
            yield _ADD

    def _kernel(self, name: str) -> str:
        kernel = next(k for k in self._lowered.kernels if k.name == name)
        body = kernel.source.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
        fused = textwrap.fill(
            "Fuses " + ", ".join(kernel.operators) + ".",
            98,
            initial_indent="# ",
            subsequent_indent="# ",
        )
        comment = f"{fused}\n" if kernel.operators else ""
        return f'{comment}{name.upper()} = MetalKernel(\n    "{name}",\n    """\\\n{body}""",\n)'

    # -------------------------------------------------------------------------- the class

    def _inputs(self) -> list[GraphInput]:
        """The inputs that the host code uses or that are checked."""
        return [i for i in self._lowered.inputs if i.kind == "user" or self._is_used(i)]

    def _is_used(self, item: GraphInput) -> bool:
        return item.symbol in self._host.used or item.symbol in self._lowered.mutated

    def _registered_model(self) -> str:
        lines = [
            "class ModelNew(nn.Module):",
            "    def __init__(self, *_):",
            "        super().__init__()",
        ]
        known: dict[int, str] = {}
        module = self._module
        persistent = set(module.state_dict(keep_vars=True))
        for name, weight in module.named_parameters(remove_duplicate=False):
            if id(weight) in known:
                value = f'self.get_parameter("{known[id(weight)]}")'
            else:
                value = f"parameter({tuple(weight.shape)}, {weight.dtype})"
                known[id(weight)] = name
            lines.append(f'        add(self, "{name}", {value})')
        for name, tensor in module.named_buffers(remove_duplicate=False):
            if name in persistent:
                value = f"torch.zeros({tuple(tensor.shape)}, dtype={tensor.dtype})"
            else:
                value = self._constant(name, tensor)
            lines.append(f'        add(self, "{name}", {value}, persistent={name in persistent})')
        return "\n".join(lines)

    def _forward(self) -> str:
        lowered, host = self._lowered, self._host
        arguments = ", ".join(("self", *lowered.parameters))
        lines = ["@without_gradients", f"def forward({arguments}):"]
        body: list[str] = []
        if lowered.training is not None:
            mode = "training" if lowered.training else "evaluation"
            body += [
                f"if self.training is not {lowered.training}:",
                f'    raise RuntimeError("these kernels were made for the {mode} mode")',
            ]
        for argument in lowered.fixed:
            name, value = argument.expression, self._fixed(argument.value)
            body.append(f"fixed({name}, {value}, {name!r})")
        inputs = self._inputs()
        users = [i for i in inputs if i.kind == "user"]
        body.append(f"device = {self._device(inputs, users)}")
        for item in users:
            name = self._names[item.symbol]
            if item.symbol in lowered.mutated:
                body.append(f"given_{name} = {item.target}")
            body.append(
                f"{name} = checked({item.target}, {item.target!r}, {item.shape}, {item.stride}, "
                f"{item.dtype})"
            )
        for item in inputs:
            if item.kind != "user":
                body.append(f"{self._names[item.symbol]} = {self._fetch(item)}")
        if host.checks_indices:
            body.append("errors = torch.zeros(ERROR_WORDS, device=device, dtype=torch.int32)")
        body += host.lines
        split = len(host.results) - len(lowered.mutated)
        for symbol, value in zip(lowered.mutated, host.results[split:], strict=True):
            item = next(i for i in lowered.inputs if i.symbol == symbol)
            name = self._names[symbol]
            body.append(f"{'given_' + name if item.kind == 'user' else name}.copy_({value})")
        if host.checks_indices:
            body.append("raise_for(errors)")
        body.append(f"return {lowered.outputs.format(*host.results[:split])}")
        return "\n".join([*lines, *(textwrap.indent(_wrapped(line), "    ") for line in body)])

    def _device(self, inputs: list[GraphInput], users: list[GraphInput]) -> str:
        if users:
            return f"{users[0].target}.device"
        for item in inputs:
            if item.kind in ("parameter", "buffer"):
                return f"{self._fetch(item)}.device"
        return 'torch.device("cpu")'

    def _fetch(self, item: GraphInput) -> str:
        """The expression by which `forward` reaches a tensor that is no argument."""
        if item.kind == "embedded":
            value = self._constant(item.target, self._lowered.embedded[item.target])
            return f"{value}.to(device)"
        if item.kind == "constant":
            if self._definitions is not None:
                return f"{self._attribute(item)}.to(device)"
            owner: Any = self._module
            for part in item.target.split("."):
                owner = getattr(owner, part)
            return f"{self._constant(item.target, owner)}.to(device)"
        return self._attribute(item)

    def _attribute(self, item: GraphInput) -> str:
        """`self.blocks[0].weight`, or by name where that would not be Python."""
        expression, owner = "self", self._module
        for part in item.target.split("."):
            if part.isidentifier() and not keyword.iskeyword(part):
                expression += f".{part}"
            elif self._definitions is not None and isinstance(
                owner, (nn.Sequential, nn.ModuleList, nn.ParameterList)
            ):
                expression += f"[{part}]"
            else:
                kind = "buffer" if item.kind == "buffer" else "parameter"
                return f'self.get_{kind}("{item.target}")'
            owner = getattr(owner, part)
        return expression

    def _fixed(self, value: Any) -> str:
        if value is None or isinstance(value, (bool, int, float, str, torch.dtype)):
            return repr(value)
        raise user_error(
            "not-traceable", where=self._where, reason=f"an input of type {type(value).__name__}"
        )

    def _constant(self, name: str, tensor: torch.Tensor) -> str:
        """The name of a module-level constant of the file that holds the tensor's value."""
        variable = "CONSTANT_" + re.sub(r"\W", "_", name).upper()
        if variable not in self._constants:
            self._constants[variable] = self._constant_text(name, tensor.detach())
        return variable

    def _constant_text(self, name: str, tensor: torch.Tensor) -> str:
        shape, dtype = tuple(tensor.shape), tensor.dtype
        if tensor.numel() <= _WRITTEN_ELEMENTS:
            return _wrapped(f"torch.tensor({_numbers(tensor.tolist())}, dtype={dtype})")
        flat = tensor.contiguous().reshape(-1).view(torch.uint8)
        packed = base64.b85encode(zlib.compress(bytes(flat.tolist()), 9)).decode()
        if len(packed) > _PACKED_BYTES:
            raise user_error(
                "constant-too-large", where=self._where, name=name, bytes=tensor.nbytes
            )
        rows = textwrap.wrap(packed, 92)
        quoted = "\n".join(f"    {row!r}" for row in rows)
        return f"unpack(\n{quoted},\n    {shape},\n    {dtype},\n)"


def _numbers(value: Any) -> str:
    return re.sub(r"\b(inf|nan)\b", r"float('\1')", repr(value))


def _local_names(lowered: LoweredModule, taken: set[str]) -> Iterator[tuple[str, str]]:
    """Each input's name in `forward`: its own where that is free."""
    used = {*_RESERVED, *taken, *lowered.parameters, *dir(builtins)}
    for item in lowered.inputs:
        if item.kind == "user" and item.target in lowered.parameters:
            yield item.symbol, item.target
            continue
        base = re.sub(r"\W+", "_", item.target).strip("_").lower()
        if not base.isidentifier() or keyword.iskeyword(base) or re.fullmatch(r"buf\d+", base):
            base = f"tensor_{base}"
        name, number = base, 1
        while name in used:
            number += 1
            name = f"{base}_{number}"
        used.add(name)
        yield item.symbol, name


def _without_pass(model: str) -> str:
    return re.sub(r"\n    pass$", "", model.rstrip())


def _wrapped(line: str) -> str:
    """One statement over several lines if it is longer than 96 characters."""
    if len(line) <= 92 or "\n" in line:
        return line
    opening = line.find("(")
    if opening < 0 or not line.endswith(")"):
        return line
    parts = _split_arguments(line[opening + 1 : -1])
    if parts is None:
        return line
    one_line = ", ".join(parts)
    if len(one_line) <= 88:
        return f"{line[: opening + 1]}\n    {one_line}\n)"
    return line[: opening + 1] + "\n" + "".join(f"    {part},\n" for part in parts) + ")"


def _split_arguments(text: str) -> list[str] | None:
    """Splits at the commas outside brackets; None if the brackets do not close at the end."""
    parts, depth, start = [], 0, 0
    quote = ""
    for position, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
            if depth < 0:
                return None
        elif character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    parts.append(text[start:].strip())
    return [part for part in parts if part]


def kernel_sources(lowered: LoweredModule) -> Mapping[str, str]:
    """Each kernel's text by name."""
    return {kernel.name: kernel.source for kernel in lowered.kernels}
