"""Turning the compiler's host function into the body of a candidate's `forward`.

Inductor's host function is Python, written over private helpers. Each of its statements is one of
few forms; a statement of any other form is refused rather than passed on.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

from metalwright.errors import user_error

# What Inductor calls for matmuls and convolutions, and the public functions that mean the same.
_LIBRARY = {
    "extern_kernels.mm": "torch.mm",
    "extern_kernels.bmm": "torch.bmm",
    "extern_kernels.addmm": "torch.addmm",
    "extern_kernels.baddbmm": "torch.baddbmm",
    "extern_kernels.convolution": "torch.convolution",
}
# Operators that exist on one kind of device only: a candidate runs on every one.
_ONE_DEVICE = re.compile(r"mkldnn|cudnn|miopen|_for_cpu|_for_mps|_cpu\b|_mps\b")
_DROPPED = {"args.clear", "assert_alignment"}


class HostCode:
    """The statements of `forward` between fetching its inputs and its results.

    ``lines`` are Python text without indentation; ``results`` the expressions that the compiler's
    function returns; ``used`` the inputs' names that occur; ``checks_indices`` says that a kernel
    reports indices outside a tensor in the buffer `errors`; ``library_calls`` names the operators
    that stay with torch.
    """

    def __init__(self, host: str, names: Mapping[str, str], kernels: set[str], where: str) -> None:
        """Translates `host`; `names` gives its inputs' symbols the names they have in `forward`."""
        self.lines: list[str] = []
        self.results: list[str] = []
        self.used: set[str] = set()
        self.checks_indices = False
        self.uses_views = False
        self.uses_strides = False
        self.library_calls: list[str] = []
        self._names = names
        self._kernels = kernels
        self._where = where
        for statement in ast.parse(host).body:
            self._statement(statement)

    def _statement(self, statement: ast.stmt) -> None:
        match statement:
            case ast.Assign(targets=[ast.Tuple()], value=ast.Name(id="args")):
                return  # unpacking of the inputs
            case ast.Expr(value=ast.Call() as call):
                self._call_statement(call)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self.lines.append(f"{self._names.get(name, name)} = {self._expression(value)}")
            case ast.Delete(targets=targets):
                # Inputs belong to the caller; buffers are freed as early as Inductor frees them.
                buffers = [t.id for t in targets if isinstance(t, ast.Name)]
                buffers = [name for name in buffers if name not in self._names]
                if buffers:
                    self.lines.append(f"del {', '.join(buffers)}")
            case ast.Return(value=ast.Tuple(elts=elements)):
                self.results = [self._expression(element) for element in elements]
            case _:
                raise self._refused(statement)

    def _call_statement(self, call: ast.Call) -> None:
        function = ast.unparse(call.func)
        if function in _DROPPED:
            return
        if function == "assert_size_stride":
            match call.args:
                case [ast.Name(id=name), size, stride, *_]:
                    # Inputs are checked by the caller. What torch's own operators return may be
                    # laid out otherwise on another device, and kernels index by these strides.
                    if name not in self._names:
                        self.uses_strides = True
                        arguments = f"{name}, {ast.unparse(size)}, {ast.unparse(stride)}"
                        self.lines.append(f"{name} = with_strides({arguments})")
                    return
            raise self._refused(call)
        self.lines.append(self._expression(call))

    def _expression(self, node: ast.expr) -> str:
        return ast.unparse(self._rewrite(node))

    def _rewrite(self, node: ast.expr) -> ast.expr:
        match node:
            case ast.Call():
                return self._rewrite_call(node)
            case ast.Name(id=name) if name in self._names:
                self.used.add(name)
                return ast.Name(self._names[name])
            case ast.Tuple(elts=elements):
                return ast.Tuple([self._rewrite(element) for element in elements], ast.Load())
            case ast.List(elts=elements):
                return ast.List([self._rewrite(element) for element in elements], ast.Load())
            case ast.Subscript(value=value, slice=index):
                return ast.Subscript(self._rewrite(value), index, ast.Load())
            case ast.Name() | ast.Constant() | ast.UnaryOp() | ast.Attribute():
                return node
        raise self._refused(node)

    def _rewrite_call(self, call: ast.Call) -> ast.expr:
        function = ast.unparse(call.func)
        if function == "device":
            return ast.Name("device")
        arguments = [self._rewrite(argument) for argument in call.args]
        keywords = {k.arg: self._rewrite(k.value) for k in call.keywords if k.arg is not None}
        if "device" in keywords:
            keywords["device"] = ast.Name("device")
        if function in self._kernels:
            if keywords.pop("error_buf_idx", None) is not None:
                self.checks_indices = True
                arguments.append(ast.Name("errors"))
            target = function.upper()
        elif function.startswith("empty_strided"):
            return self._allocation(arguments, keywords)
        elif function == "reinterpret_tensor":
            self.uses_views = True
            target = "view"
        elif function in _LIBRARY:
            target = _LIBRARY[function]
            self.library_calls.append(target)
        elif function.startswith(("torch.ops.aten.", "aten.")) and not _ONE_DEVICE.search(function):
            target = "torch.ops." + function.removeprefix("torch.ops.")
            self.library_calls.append(target)
        else:
            raise self._refused(call)
        return _call(target, arguments, keywords)

    def _allocation(self, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> ast.expr:
        size, stride = (ast.literal_eval(argument) for argument in arguments[:2])
        keywords = {"device": ast.Name("device"), "dtype": keywords["dtype"]}
        contiguous: list[int] = []
        step = 1
        for extent in reversed(size):
            contiguous.insert(0, step)
            step *= max(extent, 1)
        plain = all(s == c for n, s, c in zip(size, stride, contiguous, strict=True) if n != 1)
        if plain:
            return _call("torch.empty", arguments[:1], keywords)
        return _call("torch.empty_strided", arguments[:2], keywords)

    def _refused(self, node: ast.AST) -> Exception:
        text = " ".join(ast.unparse(node).split())
        return user_error(
            "unsupported-operator",
            where=self._where,
            reason=f"no public form is known for `{text[:120]}` of Inductor's host code",
        )


def _call(function: str, arguments: list[ast.expr], keywords: dict[str, ast.expr]) -> ast.Call:
    return ast.Call(
        ast.parse(function, mode="eval").body,
        arguments,
        [ast.keyword(name, value) for name, value in keywords.items()],
    )
