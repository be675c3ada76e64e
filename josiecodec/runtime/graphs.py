"""Graphs that onnxruntime runs, with weights bound from a model's own file."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ModelError

GRAPHS = Path(__file__).parent / "graphs"
STEP_FRAMES = 50  # frames of sound that are run through a graph at once; the results do not depend on it
SEMANTIC, ACOUSTIC = "semantic", "acoustic"  # what goes in and out of those of sound
WEIGHTS_NAME = "model.safetensors"  # what the graphs say that their weights lie in


class Graph:
    """One direction of a codec: a step of a stream, whose memory goes in and comes out.

    Args:
        name: "encoder" or "decoder".
        weights: tensors of the model by their names in its file.
        threads: of the CPU; None for `OMP_NUM_THREADS`, or as many as the machine has.
        one_arena: share memory with all other graphs that do, for large inputs: only one runs at a time.

    Raises:
        ModelError: if the weights are not those of this graph.
    """

    def __init__(
        self, name: str, weights: Mapping[str, np.ndarray], threads: int | None = None, one_arena: bool = False
    ):
        import onnxruntime

        described = description(name)
        # The runtime ignores names that it does not know, and computes with whatever shape it is given.
        missing = misfits(name, weights)
        if missing:
            raise ModelError(f"the {name} graph does not fit this model: {missing[0]}")
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3  # errors
        options.intra_op_num_threads = threads or usual_threads()
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if one_arena:
            _share_memory()
            options.add_session_config_entry("session.use_env_allocators", "1")
        bound = {full: weights[short].astype(np.float32) for full, (short, _) in described["weights"].items()}
        values = [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in bound.values()]
        options.add_external_initializers(list(bound), values)
        data = (GRAPHS / f"{name}.onnx").read_bytes()
        self._session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        self._outputs = [value.name for value in self._session.get_outputs()]
        self._memory = {f"past.{part}": shape for part, shape in described["memory"].items()}

    def beginning(self) -> dict[str, np.ndarray]:
        """The memory at the beginning of a stream."""
        return {name: np.zeros(shape, np.float32) for name, shape in self._memory.items()}

    def __call__(
        self, inputs: dict[str, np.ndarray], memory: dict[str, np.ndarray], returns_memory: bool = False
    ) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """What comes out, by name, and the memory of the next step; `memory` itself stays as it is. With
        `returns_memory` the arena is emptied afterwards: pieces of ever other sizes would add up in it."""
        options = _emptying() if returns_memory else None
        values = dict(zip(self._outputs, self._session.run(None, inputs | memory, options)))
        return values, {name: values.pop("next." + name.removeprefix("past.")) for name in memory}


class Graphs(Mapping[str, Graph]):
    """The graphs of a model by name, each opened when it is needed first.

    Args:
        weights, threads: as of `Graph`.
    """

    def __init__(self, weights: Mapping[str, np.ndarray], threads: int | None = None):
        self._weights, self._threads = weights, threads
        self._open: dict[str, Graph] = {}

    def __getitem__(self, name: str) -> Graph:
        if name not in self._open:
            self._open[name] = Graph(name, self._weights, self._threads)
        return self._open[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._open)

    def __len__(self) -> int:
        return len(self._open)


def usual_threads() -> int:
    """What `OMP_NUM_THREADS` says, whose first number counts, as in "4,2"; 0, all of the machine, if it is none."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isascii() and first.isdigit() and len(first) < 10 else 0


@cache
def _emptying() -> Any:
    import onnxruntime

    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


@cache
def _share_memory() -> None:
    """Make an arena for all graphs of this process that ask for one, which grows by what they need and no more."""
    import onnxruntime

    memory = onnxruntime.OrtMemoryInfo(
        "Cpu", onnxruntime.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, onnxruntime.OrtMemType.DEFAULT
    )
    as_requested = 1
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, as_requested, -1, -1))


@cache
def description(name: str) -> dict[str, Any]:
    """What the JSON file beside a graph says: `weights`, full name -> [name in files, shape], and `memory`."""
    described: dict[str, Any] = json.loads((GRAPHS / f"{name}.json").read_text(encoding="utf-8"))
    return described


def misfits(name: str, weights: Mapping[str, Any]) -> list[str]:
    """What of the weights of a graph a model has not, or of another shape or type.

    Args:
        name: of the graph.
        weights: of the model, anything with `shape` and `dtype`.
    """
    return unlike(dict(description(name)["weights"].values()), weights)


def unlike(shapes: Mapping[str, list[int]], weights: Mapping[str, Any]) -> list[str]:
    """What of some weights, given by their shapes, a model has not, or of another shape or type."""
    found = []
    for short, shape in shapes.items():
        value = weights.get(short)
        if value is None:
            found.append(f"{short} is missing")
        elif list(value.shape) != shape or value.dtype not in (np.float16, np.float32):
            found.append(f"{short} is {value.dtype} {list(value.shape)}, not {shape}")
    return found
