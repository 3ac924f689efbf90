"""The same kernels in OpenCL on PoCL: `pocl-opencl-icd` of Debian with `pyopencl` of PyPI."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from bench.figures.workers import Unavailable

SOURCE = """
kernel void gelu(global const float* x, global float* y) {
  size_t i = get_global_id(0);
  float v = x[i];
  y[i] = 0.5f * v * (1.0f + tanh(0.7978845608f * (v + 0.044715f * v * v * v)));
}
kernel void tiled(global const float* a, global const float* b, global float* c, int n) {
  local float as[16][16];
  local float bs[16][16];
  int tx = get_local_id(0), ty = get_local_id(1);
  int row = get_group_id(1) * 16 + ty, col = get_group_id(0) * 16 + tx;
  float sum = 0;
  for (int k = 0; k < n; k += 16) {
    as[ty][tx] = a[row * n + k + tx];
    bs[ty][tx] = b[(k + ty) * n + col];
    barrier(CLK_LOCAL_MEM_FENCE);
    for (int i = 0; i < 16; i++) sum = fma(as[ty][i], bs[i][tx], sum);
    barrier(CLK_LOCAL_MEM_FENCE);
  }
  c[row * n + col] = sum;
}
"""
COUNT, PRODUCT = 1 << 24, 1024


def run(name: str) -> Callable[[], object]:
    """Runs `gelu` or `tiled` once and waits for its end. Raises Unavailable without PoCL."""
    try:
        import pyopencl as cl
    except ImportError:
        raise Unavailable("`pip install pyopencl` first") from None
    try:
        platforms = cl.get_platforms()
    except cl.LogicError:  # no platform at all
        platforms = []
    pocl = next((p for p in platforms if "Portable Computing" in p.name), None)
    if pocl is None:
        raise Unavailable("PoCL is not installed (`apt-get install pocl-opencl-icd`)")
    context = cl.Context(pocl.get_devices()[:1])
    queue = cl.CommandQueue(context)
    # What Metal's fast-math mode allows, PoCL may do too.
    kernel = getattr(cl.Program(context, SOURCE).build(["-cl-fast-relaxed-math"]), name)
    numbers = np.random.default_rng(0)
    shapes = {"gelu": [(COUNT,)], "tiled": [(PRODUCT, PRODUCT)] * 2}[name]
    inputs = [numbers.standard_normal(shape, np.float32) for shape in shapes]
    flags = cl.mem_flags.READ_ONLY | cl.mem_flags.COPY_HOST_PTR
    buffers = [cl.Buffer(context, flags, hostbuf=array) for array in inputs]
    out = cl.Buffer(context, cl.mem_flags.WRITE_ONLY, inputs[0].nbytes)
    if name == "gelu":
        kernel.set_args(*buffers, out)
        grid, group = (COUNT,), (256,)
    else:
        kernel.set_args(*buffers, out, np.int32(PRODUCT))
        grid, group = (PRODUCT, PRODUCT), (16, 16)

    def once(_alive: object = (*buffers, out)) -> None:
        # An argument does not keep its buffer.
        cl.enqueue_nd_range_kernel(queue, kernel, grid, group).wait()

    once()
    result = np.empty_like(inputs[0])
    cl.enqueue_copy(queue, result, out)
    if name == "gelu":
        x = inputs[0]
        expected = 0.5 * x * (1 + np.tanh(0.7978845608 * (x + 0.044715 * x**3)))
    else:
        expected = inputs[0] @ inputs[1]
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-3)
    return once
