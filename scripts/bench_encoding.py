"""Compare image and text encoding speed of imgsearch, plain open_clip and other runtimes.

    python scripts/bench_encoding.py FOLDER [--seconds 120] [--json FILE]
    python scripts/bench_encoding.py FOLDER --concurrent 16 [--seconds 60] [--json FILE]

The first form measures single images and texts and batches of 8 and 32, for two models: `lite`, and ViT-B-32 with
random weights (speed does not depend on them). The implementations compared:

ours          what a catalog uses: `load_encoder(..., backend="auto")`, and the same with torch only
plain         open_clip (for `lite`: its layers in torch), called directly, float32
onnx          ONNX Runtime, float32                       } only if installed; for ViT-B-32 as torch
openvino      OpenVINO in float32 and in bfloat16          } exports it, for `lite` the graph of `lite.onnx`

Inputs are pixels at the network's input size, or texts; tokenizing is included. Implementations alternate within a
round, so that other load affects all of them equally; the table shows medians. `ratio` is relative to plain. `cpu` is
CPU time summed over threads, which other load affects less. `cosine` is the minimum to plain, over real photos.

The second form encodes single images, then single texts, from the given number of concurrent threads: directly
through the encoder, and batched by `imgsearch.encoders.batching`.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray

from imgsearch.encoders import Encoder, load_encoder
from imgsearch.encoders.base import unit_rows
from imgsearch.encoders.batching import BatchingEncoder
from imgsearch.encoders.lite.onnx import onnx_model
from imgsearch.encoders.openclip import OpenClipEncoder
from imgsearch.ingest.sources import open_source
from imgsearch.store.item_table import Photo
from imgsearch.store.originals import file_of
from imgsearch.vision.images import decode_image

BATCHES = (1, 8, 32)
PHOTOS = 32
MODEL = "ViT-B-32"
WORDS = ("red", "blue", "white", "wooden", "leather", "mug", "chair", "lamp", "table", "shoe", "bag", "vase")
TEXTS = [f"{WORDS[i % 12]} {WORDS[(i * 5 + 3) % 12]} number {i}" for i in range(PHOTOS)]

Encode = Callable[[Sequence[Any]], NDArray[np.float32]]


@dataclass
class Way:
    """One implementation: `inputs` are `PHOTOS` images or texts; the plain one is the first of its kind."""

    model: str
    kind: str
    name: str
    encode: Encode
    inputs: Sequence[Any]


def main() -> None:
    warnings.filterwarnings("ignore")
    options = _options()
    images = [decode_image(path, target_px=224) for path in _photos(options.folder)]
    result: dict[str, Any] = {
        "load_average": round(os.getloadavg()[0], 1),
        "threads": torch.get_num_threads(),
        "capability": torch.backends.cpu.get_cpu_capability(),
    }
    if options.concurrent:
        result["concurrent"] = _concurrent(options, images)
    else:
        ways = [way for model in options.models.split(",") for way in _MODELS[model](images, options)]
        result["ways"] = _measure(ways, options.seconds)
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="a folder of real photos")
    parser.add_argument("--models", default=f"lite,{MODEL}", help="models, comma-separated")
    parser.add_argument("--without", default="", help="runtimes to skip, comma-separated: onnx, openvino")
    parser.add_argument("--seconds", type=float, default=120, help="measuring time, without exports")
    parser.add_argument("--concurrent", type=int, default=0, help="number of concurrent threads")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    return parser.parse_args()


def _photos(folder: Path) -> list[Path]:
    found = [entry for entry in open_source(folder).photos() if isinstance(entry, Photo)]
    paths = [path for photo in found if (path := file_of(photo.location)) is not None]
    if len(paths) < PHOTOS:
        sys.exit(f"bench_encoding: {folder} holds fewer than {PHOTOS} photos.")
    return paths[:: len(paths) // PHOTOS][:PHOTOS]


# --- implementations ------------------------------------------------------------------------------------------------


def _lite(images: Sequence[Any], options: argparse.Namespace) -> list[Way]:
    plain, ours = load_encoder("lite"), load_encoder("lite", backend="auto")
    arrays = [plain.preprocess(image) for image in images]
    _say(f"lite: auto selects {ours.backend}")  # type: ignore[attr-defined]
    pictures: dict[str, Encode] = {"plain float32": plain.encode_arrays, "ours": ours.encode_arrays}
    if _has("onnx", options) and _has("openvino", options):
        model = onnx_model(plain.network.backbone.network, plain.network.tower)  # type: ignore[attr-defined]
        for precision in ("f32", "bf16"):
            pictures[f"openvino {precision}, layers only"] = _openvino(
                model, precision, lambda given: np.stack(given)
            )
    return [
        *(Way("lite", "picture", name, encode, arrays) for name, encode in pictures.items()),
        Way("lite", "text", "plain float32", plain.encode_texts, TEXTS),
    ]


def _vit(images: Sequence[Any], options: argparse.Namespace) -> list[Way]:
    torch.manual_seed(0)
    model = open_clip.create_model(MODEL).eval()
    tokenizer = open_clip.get_tokenizer(MODEL)
    ours = _our_vit()
    arrays = [ours.preprocess(image) for image in images]
    mean, std = (np.array(open_clip_constant).reshape(1, 3, 1, 1) for open_clip_constant in _CLIP_MEAN_STD)

    def pixels(given: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
        return ((np.stack(given) / np.float32(255) - mean) / std).astype(np.float32)

    def tokens(given: Sequence[str]) -> NDArray[np.int64]:
        return np.asarray(tokenizer(list(given)).numpy())

    def by_torch(encode: Callable[[torch.Tensor], torch.Tensor], prepare: Callable[[Any], Any]) -> Encode:
        def run(given: Sequence[Any]) -> NDArray[np.float32]:
            with torch.inference_mode():
                return unit_rows(encode(torch.from_numpy(prepare(given))).numpy())

        return run

    ways = []
    for kind, inputs, encode, prepare, our_own in (
        ("picture", arrays, model.encode_image, pixels, ours.encode_arrays),
        ("text", TEXTS, model.encode_text, tokens, ours.encode_texts),
    ):
        ways += [
            Way(MODEL, kind, "plain float32", by_torch(encode, prepare), inputs),
            Way(MODEL, kind, "ours", our_own, inputs),
        ]
        for name, other in _exports(encode, prepare, inputs, options).items():
            ways.append(Way(MODEL, kind, name, other, inputs))
    return ways


_CLIP_MEAN_STD = (open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD)
_MODELS = {"lite": _lite, MODEL: _vit}


def _our_vit() -> Encoder:
    torch.manual_seed(0)
    model = open_clip.create_model(MODEL)
    return OpenClipEncoder(
        f"open_clip:{MODEL}/random", model, open_clip.get_tokenizer(MODEL), open_clip.get_model_config(MODEL)
    )


class _Tower(torch.nn.Module):
    """One tower of open_clip as a separate module, for the exporters."""

    def __init__(self, encode: Any) -> None:
        super().__init__()
        self.model = encode.__self__
        self._name = encode.__name__

    def forward(self, given: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = getattr(self.model, self._name)(given)
        return result


def _exports(
    encode: Any, prepare: Callable[[Any], Any], inputs: Sequence[Any], options: argparse.Namespace
) -> dict[str, Encode]:
    tower, example = _Tower(encode).eval(), torch.from_numpy(prepare(inputs[:2]))
    ways: dict[str, Encode] = {}
    if _has("openvino", options):
        import openvino

        shape = openvino.PartialShape([-1, *example.shape[1:]])
        with _timed("OpenVINO's conversion"), torch.inference_mode():
            model = openvino.convert_model(tower, example_input=example, input=[shape])
        for precision in ("f32", "bf16"):
            ways[f"openvino {precision}"] = _openvino(model, precision, prepare)
    if _has("onnx", options) and find_spec("onnxscript"):
        with _timed("the export to ONNX"):
            program = torch.onnx.export(
                tower, (example,), input_names=["given"], dynamo=True, verbose=False,
                dynamic_shapes={"given": {0: torch.export.Dim("n", min=1, max=256)}},
            )  # fmt: skip
        ways["onnx float32"] = _onnx(program.model_proto.SerializeToString(), prepare)
    return ways


def _openvino(model: Any, precision: str, prepare: Callable[[Any], Any]) -> Encode:
    import openvino

    core = openvino.Core()
    compiled = core.compile_model(
        core.read_model(model) if isinstance(model, bytes) else model,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": precision,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        },
    )
    return lambda given: unit_rows(np.asarray(compiled(prepare(given))[0]))


def _onnx(model: bytes, prepare: Callable[[Any], Any]) -> Encode:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = torch.get_num_threads()
    settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    return lambda given: unit_rows(session.run(None, {"given": prepare(given)})[0])


def _has(library: str, options: argparse.Namespace) -> bool:
    wanted = library not in options.without.split(",")
    return wanted and find_spec("onnxruntime" if library == "onnx" else library) is not None


# --- measuring ----------------------------------------------------------------------------------------------------


def _measure(ways: Sequence[Way], seconds: float) -> list[dict[str, Any]]:
    """Return the measurements of every implementation and batch size, and print them as a table."""
    plain = {(way.model, way.kind): way.encode(way.inputs) for way in ways if way.name.startswith("plain")}
    cosines = []
    for way in ways:
        rows, truth = way.encode(way.inputs), plain[way.model, way.kind]
        # The layers of `lite` are only part of its embedding.
        same = rows.shape == truth.shape
        cosines.append(round(float(np.sum(rows * truth, axis=1).min()), 5) if same else None)
    walls: dict[tuple[int, int], list[float]] = {}
    cpus: dict[tuple[int, int], list[float]] = {}
    begun, rounds = time.perf_counter(), 0
    while rounds < 2 or time.perf_counter() - begun < seconds:
        for number, way in enumerate(ways):
            for batch in BATCHES:
                given = way.inputs[:batch]
                wall, cpu = time.perf_counter(), time.process_time()
                way.encode(given)
                cpus.setdefault((number, batch), []).append(time.process_time() - cpu)
                walls.setdefault((number, batch), []).append(time.perf_counter() - wall)
        rounds += 1
    _say(f"{rounds} rounds")
    figures = []
    print(
        f"{'model':9} {'kind':8} {'way':30} {'batch':>5} {'ms each':>8} {'per s':>8} {'ratio':>6} {'cpu ms':>7} "
        f"{'ratio':>6} cosine"
    )
    for number, way in enumerate(ways):
        first = next(i for i, other in enumerate(ways) if (other.model, other.kind) == (way.model, way.kind))
        for batch in BATCHES:
            each, cpu = (statistics.median(times[number, batch]) / batch * 1000 for times in (walls, cpus))
            base, base_cpu = (
                statistics.median(times[first, batch]) / batch * 1000 for times in (walls, cpus)
            )
            figure = {
                "model": way.model, "kind": way.kind, "way": way.name, "batch": batch,
                "ms_each": round(each, 2), "per_s": round(1000 / each, 1), "ratio": round(each / base, 3),
                "cpu_ms_each": round(cpu, 2), "cpu_ratio": round(cpu / base_cpu, 3), "cosine": cosines[number],
            }  # fmt: skip
            figures.append(figure)
            print(
                f"{way.model:9} {way.kind:8} {way.name:30} {batch:5} {each:8.2f} {1000 / each:8.1f} "
                f"{each / base:6.2f} {cpu:7.2f} {cpu / base_cpu:6.2f} {cosines[number] or ''}"
            )
    return figures


def _concurrent(options: argparse.Namespace, images: Sequence[Any]) -> list[dict[str, Any]]:
    """Return requests per second and latencies, direct and batched, measured alternately."""
    figures: list[dict[str, Any]] = []
    encoders = {
        model: load_encoder("lite", backend="auto") if model == "lite" else _our_vit()
        for model in options.models.split(",")
    }
    cases = [
        (model, kind, batched) for model in encoders for kind in ("picture", "text") for batched in (0, 1)
    ]
    share = options.seconds / len(cases)
    print(
        f"{'model':9} {'kind':8} {'way':9} {'per s':>8} {'p50 ms':>8} {'p95 ms':>8}   ({options.concurrent} threads)"
    )
    for model, kind, batched in cases:
        encoder = BatchingEncoder(encoders[model]) if batched else encoders[model]
        times = _asked(encoder, kind, images, options.concurrent, share)
        figure = {
            "model": model,
            "kind": kind,
            "way": "batched" if batched else "straight",
            "per_s": round(len(times) / share, 1),
            "p50_ms": round(statistics.median(times) * 1000, 1),
            "p95_ms": round(float(np.percentile(times, 95)) * 1000, 1),
        }
        figures.append(figure)
        print(
            f"{model:9} {kind:8} {figure['way']:9} {figure['per_s']:8.1f} "
            f"{figure['p50_ms']:8.1f} {figure['p95_ms']:8.1f}"
        )
    return figures


def _asked(encoder: Encoder, kind: str, images: Sequence[Any], threads: int, seconds: float) -> list[float]:
    """Return each request's latency; each thread sends requests back to back."""
    times: list[float] = []
    end = time.perf_counter() + seconds

    def visitor(number: int) -> None:
        count = number
        while (started := time.perf_counter()) < end:
            if kind == "picture":
                encoder.encode_images([images[count % PHOTOS]])
            else:
                encoder.encode_texts([f"{TEXTS[count % PHOTOS]} {count}"])
            times.append(time.perf_counter() - started)
            count += threads

    workers = [threading.Thread(target=visitor, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return times


class _timed:  # noqa: N801
    """Print the duration of the block to stderr."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        self._started = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        _say(f"{self._what} took {time.perf_counter() - self._started:.1f} s")


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
