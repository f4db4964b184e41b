"""The image side of `lite` in ONNX Runtime: the same layers and weights as in torch, in half the time on a CPU.

The graph is built layer by layer, in half a second; torch's exporter takes a dozen. `backends` decides whether it is
used. The only file that imports onnx and onnxruntime (the extra `imgsearch[onnx]`).
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import nn

from imgsearch.core.errors import EncoderError
from imgsearch.encoders.lite.backbone import MASK_CELLS, PIXEL_MEAN, PIXEL_SCALE, STAGES, Block, Network
from imgsearch.encoders.lite.framing import INPUT_PX
from imgsearch.encoders.lite.image_tower import MIN_CELL_WEIGHT, ImageOutput, ImageTower

_OPSET = 18
_IR_VERSION = 10  # of the file format; every onnxruntime since 1.18 reads both
_CELLS = dict(zip(STAGES, (28, 14, 7), strict=True))
_LAST_CELLS = 7


def has_onnx() -> bool:
    """Return whether onnx and onnxruntime are installed; imports neither."""
    return find_spec("onnx") is not None and find_spec("onnxruntime") is not None


class OnnxImageNetwork:
    """Computes what `image_tower.TorchImageNetwork` does."""

    def __init__(self, network: Network, tower: ImageTower, *, threads: int) -> None:
        """Build the model and load it; raises `EncoderError` where that fails."""
        if not has_onnx():
            raise EncoderError("ONNX Runtime is not installed: pip install 'imgsearch[onnx]'.")
        try:
            import onnxruntime

            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            # Spinning threads would take the processors from decoding and from other searches.
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
            self._session = onnxruntime.InferenceSession(
                onnx_model(network, tower), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnx, onnxruntime and the loader of their libraries have no common error
            reason = " ".join(str(error).split())[:200]
            raise EncoderError(f"ONNX Runtime cannot load the layers of 'lite' ({reason}).") from error

    def __call__(self, pixels: NDArray[np.uint8]) -> ImageOutput:
        """Return the output for (n, 3, 224, 224) uint8 pixels."""
        return ImageOutput(*self._session.run(["meaning", "mask"], {"pixels": pixels}))


def onnx_model(network: Network, tower: ImageTower) -> bytes:
    """Return the image side as a serialised ONNX model: `pixels` in, `meaning` and `mask` out."""
    graph = _Graph()
    values = graph.add("Cast", "pixels", to=1)  # to float32
    values = graph.add(
        "Div", graph.add("Sub", values, graph.constant(PIXEL_MEAN)), graph.constant(PIXEL_SCALE)
    )
    last, maps = _network(graph, values, network)
    mask = _mask(graph, tower, maps)
    features = _features(graph, last, maps, mask)
    scaled = graph.add(
        "Mul", graph.add("Sub", features, graph.constant(tower.mean)), graph.constant(tower.scale)
    )
    projected = graph.add("MatMul", scaled, graph.constant(tower.project.weight.T))
    graph.add("LpNormalization", projected, name="meaning", axis=1, p=2)
    graph.add("Squeeze", mask, graph.constant([1], np.int64), name="mask")
    return graph.serialised(
        {"pixels": (2, (3, INPUT_PX, INPUT_PX))},  # uint8
        {"meaning": (1, (tower.project.out_features,)), "mask": (1, (MASK_CELLS, MASK_CELLS))},
    )


def _network(graph: _Graph, values: str, network: Network) -> tuple[str, dict[int, str]]:
    """Add the backbone; return the names of its last map, and of the maps of `STAGES`."""
    values = graph.layers(values, network.stem)
    maps = {}
    for number, stage in enumerate(network.stages):
        for block in stage.children():
            assert isinstance(block, Block)
            before, values = values, graph.layers(values, block.layers)
            if block.has_skip:
                values = graph.add("Add", values, before)
        if number in STAGES:
            maps[number] = values
    return graph.layers(values, network.head), maps


def _mask(graph: _Graph, tower: ImageTower, maps: dict[int, str]) -> str:
    """Add `MaskHead`; return the name of its (n, 1, 28, 28) probabilities."""
    total = ""
    layers = (tower.mask.stage_2, tower.mask.stage_4, tower.mask.stage_6)
    for layer, stage in zip(layers, STAGES, strict=True):
        part = graph.layer(maps[stage], layer)
        if (factor := MASK_CELLS // _CELLS[stage]) > 1:
            part = graph.upscaled(part, factor)
        total = graph.add("Add", total, part) if total else part
    return graph.add("Sigmoid", graph.layer(graph.add("Relu", total), tower.mask.out))


def _features(graph: _Graph, last: str, maps: dict[int, str], mask: str) -> str:
    """Add the blocks of `image_tower.FEATURES`; return the name of the (n, 3504) features."""
    axes = graph.constant([2, 3], np.int64)
    step = [MASK_CELLS // _LAST_CELLS] * 2
    weight = graph.add("AveragePool", mask, kernel_shape=step, strides=step)
    weight = graph.add("Add", weight, graph.constant(MIN_CELL_WEIGHT))
    weight = graph.add("Div", weight, graph.add("ReduceSum", weight, axes, keepdims=1))
    blocks = [
        graph.add("ReduceMean", last, axes, keepdims=0),
        graph.add("ReduceSum", graph.add("Mul", last, weight), axes, keepdims=0),
    ]
    for stage in reversed(STAGES):
        centred = graph.add("Sub", maps[stage], graph.add("ReduceMean", maps[stage], axes, keepdims=1))
        squares = graph.add("ReduceSumSquare", centred, axes, keepdims=0)
        variance = graph.add("Div", squares, graph.constant(_CELLS[stage] ** 2 - 1))  # as torch.std, unbiased
        blocks += [graph.add("ReduceMean", maps[stage], axes, keepdims=0), graph.add("Sqrt", variance)]
    return graph.add("Concat", *blocks, axis=1)


class _Graph:
    """An ONNX graph being built: nodes in their order, and the constants that they name."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def add(self, operator: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """Add a node of one output and return the output's name."""
        from onnx import helper

        name = name or f"{operator}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def constant(self, values: ArrayLike | torch.Tensor, kind: type[np.generic] = np.float32) -> str:
        """Add a constant and return its name."""
        from onnx import numpy_helper

        name = f"weight_{len(self._weights)}"
        array = values.detach().cpu().numpy() if isinstance(values, torch.Tensor) else values
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(array, kind), name))
        return name

    def layer(self, values: str, module: nn.Module) -> str:
        """Add a ReLU6 or a convolution; raises `EncoderError` for any other layer."""
        if isinstance(module, nn.ReLU6):
            return self.add("Clip", values, self.constant(0), self.constant(6))
        if not isinstance(module, nn.Conv2d) or module.bias is None:
            raise EncoderError(f"The network of 'lite' has an unsupported layer ({type(module).__name__}).")
        # Every convolution keeps the size or halves it, with TensorFlow's padding.
        return self.add(
            "Conv",
            values,
            self.constant(module.weight),
            self.constant(module.bias),
            auto_pad="SAME_UPPER",
            strides=list(module.stride),
            group=module.groups,
        )

    def layers(self, values: str, modules: nn.Module) -> str:
        """Add layers in sequence."""
        for module in modules.children():
            values = self.layer(values, module)
        return values

    def upscaled(self, values: str, factor: int) -> str:
        """Add bilinear upscaling, as `torch.nn.functional.interpolate` computes it."""
        scales = self.constant([1, 1, factor, factor])
        return self.add(
            "Resize", values, "", scales, mode="linear", coordinate_transformation_mode="half_pixel"
        )

    def serialised(
        self, inputs: dict[str, tuple[int, tuple[int, ...]]], outputs: dict[str, tuple[int, tuple[int, ...]]]
    ) -> bytes:
        """Return the model; `inputs` and `outputs` map names to element types and shapes without the batch axis."""
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
