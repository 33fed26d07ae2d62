"""Whether a machine multiplies bfloat16 in hardware."""

from __future__ import annotations

import torch


def has_bf16(device: torch.device | str) -> bool:
    """Whether autocast to bfloat16 makes a device faster.

    CUDA cards that train do; CPUs with AMX or AVX-512 BF16 do, the others emulate it, slowly.
    """
    if torch.device(device).type == "cuda":
        return True
    probes = (
        getattr(torch.cpu, name, None)
        for name in ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
    )
    return any(probe is not None and bool(probe()) for probe in probes)
