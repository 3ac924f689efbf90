"""torch's global settings, of which a candidate may change none."""

from __future__ import annotations

from collections.abc import Callable

import torch

_READERS: dict[str, Callable[[], object]] = {
    "default dtype": torch.get_default_dtype,
    "default device": torch.get_default_device,
    "threads": torch.get_num_threads,
    "gradients": torch.is_grad_enabled,
    "inference mode": torch.is_inference_mode_enabled,
    "deterministic algorithms": torch.are_deterministic_algorithms_enabled,
    "matmul precision": torch.get_float32_matmul_precision,
    "mkldnn": lambda: torch.backends.mkldnn.enabled,
    "cudnn": lambda: torch.backends.cudnn.enabled,
    "cudnn benchmark": lambda: torch.backends.cudnn.benchmark,
    "cudnn tf32": lambda: torch.backends.cudnn.allow_tf32,
    "cuda tf32": lambda: torch.backends.cuda.matmul.allow_tf32,
    "cuda fp16 reduction": lambda: (
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction
    ),
    "flush denormal": lambda: bool(torch.tensor([1e-40]).mul(1.0).item() == 0.0),
    "function mode": lambda: torch._C._len_torch_function_stack(),
    "dispatch mode": lambda: torch._C._len_torch_dispatch_stack(),
}


def torch_state() -> dict[str, str]:
    """All settings, by name, as text."""
    return {name: str(read()) for name, read in _READERS.items()}
