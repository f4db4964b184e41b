"""The picture side of `lite` in ONNX Runtime: the same layers with the same weights, in half the time on a CPU.

It owns onnx and onnxruntime (the extra `imgsearch[onnx]`), and how the layers of `lite_backbone` and `lite_image` are
written down as one graph: pixels in; what things are, and which cells belong to them, out. The graph is written layer
by layer instead of being exported by torch: half a second instead of a dozen, so that nothing needs to be kept on
disk. Whether it is used, and that it gives the same embeddings, is decided in `backends`.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from imgsearch.core.errors import EncoderError
from imgsearch.encoders.lite.backbone import (
    MASK_CELLS,
    PIXEL_MEAN,
    PIXEL_SCALE,
    STAGES,
    Block,
    Network,
)
from imgsearch.encoders.lite.framing import INPUT_PX
from imgsearch.encoders.lite.image_tower import KEPT_BACKGROUND, ImageTower, Looked

__all__ = ["OnnxLook", "has_onnx", "onnx_model"]

_OPSET = 18
_IR_VERSION = 10  # of the file format; every onnxruntime since 1.18 reads both
_CELLS = dict(zip(STAGES, (28, 14, 7), strict=True))
_LAST_CELLS = 7


def has_onnx() -> bool:
    """Return whether onnx and onnxruntime are installed; imports neither."""
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


class OnnxLook:
    """Looks at pictures as `lite_image.TorchLook` does; safe in several threads."""

    def __init__(self, network: Network, tower: ImageTower, *, threads: int) -> None:
        """Write the layers down and load them; raises `EncoderError` where they cannot be."""
        if not has_onnx():
            raise EncoderError("ONNX Runtime is not installed: pip install 'imgsearch[onnx]'.")
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            # Threads that spin while they wait take the processors from decoding and from other searches.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(
                onnx_model(network, tower), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnx, onnxruntime and the loader of their libraries have no common error
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"ONNX Runtime cannot load the layers of 'lite' ({reason}).") from error

    def __call__(self, pixels: NDArray[np.uint8]) -> Looked:
        """Return what is on (n, 3, 224, 224) uint8 pixels, and which cells belong to it."""
        what, cells = self._session.run(["what", "cells"], {"pixels": pixels})
        return Looked(what, cells)


def onnx_model(network: Network, tower: ImageTower) -> bytes:
    """Return the picture side as a serialised ONNX model: `pixels` in, `what` and `cells` out."""
    graph = _Graph()
    values = graph.add("Cast", "pixels", to=1)  # to float32
    values = graph.add("Div", graph.add("Sub", values, graph.keep(PIXEL_MEAN)), graph.keep(PIXEL_SCALE))
    last, maps = _network(graph, values, network)
    belongs = _belongs(graph, tower, maps)
    features = _features(graph, last, maps, belongs)
    scaled = graph.add("Mul", graph.add("Sub", features, graph.keep(tower.mean)), graph.keep(tower.scale))
    what = graph.add("MatMul", scaled, graph.keep(tower.project.weight.T))
    graph.add("LpNormalization", what, name="what", axis=1, p=2)
    graph.add("Squeeze", belongs, graph.keep([1], np.int64), name="cells")
    return graph.serialised(
        {"pixels": (2, (3, INPUT_PX, INPUT_PX))},  # uint8
        {"what": (1, (tower.project.out_features,)), "cells": (1, (MASK_CELLS, MASK_CELLS))},
    )


def _network(graph: _Graph, values: str, network: Network) -> tuple[str, dict[int, str]]:
    """Write the frozen network down; return the names of its last map, and of the three that are read out."""
    values = graph.layers(values, network.stem)
    maps = {}
    for number, stage in enumerate(network.stages):
        for block in stage.children():
            assert isinstance(block, Block)
            before, values = values, graph.layers(values, block.layers)
            if block.adds:
                values = graph.add("Add", values, before)
        if number in STAGES:
            maps[number] = values
    return graph.layers(values, network.head), maps


def _belongs(graph: _Graph, tower: ImageTower, maps: dict[int, str]) -> str:
    """Write `MaskHead` down; return the name of its (n, 1, 28, 28) probabilities."""
    total = ""
    layers = (tower.mask.stage_2, tower.mask.stage_4, tower.mask.stage_6)
    for layer, stage in zip(layers, STAGES, strict=True):
        part = graph.layer(maps[stage], layer)
        if (times := MASK_CELLS // _CELLS[stage]) > 1:
            part = graph.enlarged(part, times)
        total = graph.add("Add", total, part) if total else part
    return graph.add("Sigmoid", graph.layer(graph.add("Relu", total), tower.mask.out))


def _features(graph: _Graph, last: str, maps: dict[int, str], belongs: str) -> str:
    """Write the blocks of `lite_image.FEATURES` down; return the name of the (n, 3504) features."""
    places = graph.keep([2, 3], np.int64)
    step = [MASK_CELLS // _LAST_CELLS] * 2
    weight = graph.add("AveragePool", belongs, kernel_shape=step, strides=step)
    weight = graph.add("Add", weight, graph.keep(KEPT_BACKGROUND))
    weight = graph.add("Div", weight, graph.add("ReduceSum", weight, places, keepdims=1))
    blocks = [
        graph.add("ReduceMean", last, places, keepdims=0),
        graph.add("ReduceSum", graph.add("Mul", last, weight), places, keepdims=0),
    ]
    for stage in reversed(STAGES):
        apart = graph.add("Sub", maps[stage], graph.add("ReduceMean", maps[stage], places, keepdims=1))
        squares = graph.add("ReduceSumSquare", apart, places, keepdims=0)
        variance = graph.add("Div", squares, graph.keep(_CELLS[stage] ** 2 - 1))  # as torch.std, unbiased
        blocks += [graph.add("ReduceMean", maps[stage], places, keepdims=0), graph.add("Sqrt", variance)]
    return graph.add("Concat", *blocks, axis=1)


class _Graph:
    """An ONNX graph as it is written: nodes in their order, and the weights that they name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        from onnx import helper

        name = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def keep(self, values: ArrayLike | torch.Tensor, kind: type[np.generic] = np.float32) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"weight_{len(self._weights)}"
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array, kind), name))
        return name

    def layer(self, values: str, module: nn.Module) -> str:
        """Add one of the kinds of layers that there are; raises `EncoderError` for another one."""
        if isinstance(module, nn.ReLU6):
            return self.add("Clip", values, self.keep(0), self.keep(6))
        if not isinstance(module, nn.Conv2d) or module.bias is None:
            raise EncoderError(
                f"The network of 'lite' has a layer of another kind ({type(module).__name__})."
            )
        # All of them keep the size, or halve it as TensorFlow does.
        return self.add(
            "Conv",
            values,
            self.keep(module.weight),
            self.keep(module.bias),
            auto_pad="SAME_UPPER",
            strides=list(module.stride),
            group=module.groups,
        )

    def layers(self, values: str, modules: nn.Module) -> str:
        """Add one layer after the other."""
        for module in modules.children():
            values = self.layer(values, module)
        return values

    def enlarged(self, values: str, times: int) -> str:
        """Add a bilinear enlargement, as `torch.nn.functional.interpolate` makes it."""
        scales = self.keep([1, 1, times, times])
        return self.add(
            "Resize", values, "", scales, mode="linear", coordinate_transformation_mode="half_pixel"
        )

    def serialised(
        self, inputs: dict[str, tuple[int, tuple[int, ...]]], outputs: dict[str, tuple[int, tuple[int, ...]]]
    ) -> bytes:
        """Return the model; `inputs` and `outputs` give the element type and the shape of each, n aside."""
        from onnx import helper

        def described(named: dict[str, tuple[int, tuple[int, ...]]]) -> list[Any]:
            return [
                helper.make_tensor_value_info(name, kind, ["n", *shape])
                for name, (kind, shape) in named.items()
            ]

        graph = helper.make_graph(
            self._nodes, "lite", described(inputs), described(outputs), initializer=self._weights
        )
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR_VERSION
        )
        return bytes(model.SerializeToString())
