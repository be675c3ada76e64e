"""Training by several processes that torchrun started; alone, all of this does nothing."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import torch
import torch.distributed as dist
from torch import nn


def rank_and_world() -> tuple[int, int]:
    """This process's number, and how many there are."""
    return (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)


def average_gradients(parameters: Sequence[nn.Parameter]) -> None:
    """Give all processes the mean of their gradients; a parameter without one counts as zero."""
    world = rank_and_world()[1]
    if world == 1:
        return
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.flatten() for p in parameters])  # type: ignore[union-attr]
    dist.all_reduce(flat)
    flat /= world
    for p, part in zip(parameters, flat.split([p.numel() for p in parameters])):
        p.grad.copy_(part.view_as(p))  # type: ignore[union-attr]


def agreed(number: float, device: torch.device) -> float:
    """The first process's number, so that all of them do the same."""
    if rank_and_world()[1] == 1:
        return number
    shared = torch.tensor([number], dtype=torch.float64, device=device)
    dist.broadcast(shared, 0)
    return float(shared)


def distributed_device(device: str) -> str:
    """Join the process group if started by torchrun; the device this process should use."""
    if "LOCAL_RANK" not in os.environ:
        return device
    if not dist.is_initialized():
        dist.init_process_group("nccl" if device.startswith("cuda") else "gloo")
    return f"cuda:{os.environ['LOCAL_RANK']}" if device.startswith("cuda") else device


def leave_group() -> None:
    """End this process if it is one of a group, after all others have come so far.

    It ends at once, without the interpreter's tidying up, in which gloo's threads now and then abort and
    torchrun then takes a finished run for a failed one.
    """
    if dist.is_available() and dist.is_initialized():
        dist.barrier()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
