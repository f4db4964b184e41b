"""Dynamic batching: simultaneous requests are encoded together, and each gets its own result or error."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest
from colour_encoder import ColourEncoder
from PIL import Image

from imgsearch.core.errors import EncoderError
from imgsearch.encoders.base import Embeddings, Encoder, HasVocabulary, KnowsWords
from imgsearch.encoders.batching import Batcher, BatchingEncoder


class Gate:
    """Encodes numbers as rows of themselves, records its batches, and blocks in each until released."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.entered = threading.Semaphore(0)
        self.open = threading.Semaphore(0)

    def __call__(self, values: Sequence[int]) -> Embeddings:
        self.batches.append(list(values))
        self.entered.release()
        assert self.open.acquire(timeout=120)
        if -1 in values:
            raise ValueError("minus one")
        return np.array([[value, 1] for value in values], np.float32)


def ask(pool: ThreadPoolExecutor, batcher: Batcher[int], values: Sequence[int]) -> list[Future[Embeddings]]:
    """Request every value in a separate thread, each once the previous request is waiting."""
    asked = []
    for value in values:
        before = batcher.waiting
        asked.append(pool.submit(batcher, value))
        while batcher.waiting == before:
            pass
    return asked


def test_waiting_requests_are_encoded_together_in_order_up_to_the_largest_batch() -> None:
    gate = Gate()
    batcher = Batcher(gate, max_batch=4)
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(batcher, 0)
        assert gate.entered.acquire(timeout=120)
        others = ask(pool, batcher, [1, 2, 3, 4, 5, 6])
        gate.open.release(9)
        assert [future.result(20)[0, 0] for future in [first, *others]] == [0, 1, 2, 3, 4, 5, 6]
    assert gate.batches == [[0], [1, 2, 3, 4], [5, 6]]


def test_a_single_request_is_encoded_at_once_in_its_own_thread() -> None:
    threads = []

    def encode(values: Sequence[int]) -> Embeddings:
        threads.append(threading.current_thread())
        return np.ones((len(values), 2), np.float32)

    batcher = Batcher(encode)
    for value in range(3):
        assert batcher(value).shape == (1, 2)
    assert threads == [threading.current_thread()] * 3


def test_an_error_reaches_only_its_own_request() -> None:
    gate = Gate()
    batcher = Batcher(gate)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher, 7)
        assert gate.entered.acquire(timeout=120)
        others = ask(pool, batcher, [1, -1, 3])
        gate.open.release(9)
        assert [others[0].result(20)[0, 0], others[2].result(20)[0, 0]] == [1, 3]
        with pytest.raises(ValueError, match="minus one"):
            others[1].result(20)
        assert first.result(20)[0, 0] == 7
        assert pool.submit(batcher, 5).result(20)[0, 0] == 5
    assert gate.batches == [[7], [1, -1, 3], [1], [-1], [3], [5]]


def test_an_interrupted_batch_leaves_no_request_waiting() -> None:
    gate = Gate()

    def encode(values: Sequence[int]) -> Embeddings:
        rows = gate(values)
        if 13 in values:
            raise SystemExit
        return rows

    batcher = Batcher(encode, max_batch=2)
    with ThreadPoolExecutor(8) as pool:
        first = pool.submit(batcher, 0)
        assert gate.entered.acquire(timeout=120)
        others = ask(pool, batcher, [13, 1, 2])
        gate.open.release(9)
        assert first.result(20)[0, 0] == 0
        for ended in others[:2]:
            with pytest.raises(SystemExit):
                ended.result(20)
        assert others[2].result(20)[0, 0] == 2


def test_concurrent_requests_get_the_results_of_single_requests(lite: Encoder) -> None:
    texts = [
        f"{colour} {thing}" for colour in ("red", "blue", "asdf") for thing in ("mug", "chair with arms")
    ]
    pictures = [
        Image.effect_mandelbrot((90 + 30 * i, 120), (-2, -1.5, 1, 1.5), 20 + i).convert("RGB")
        for i in range(6)
    ]
    batching = BatchingEncoder(lite)
    assert isinstance(batching, Encoder)
    assert (batching.id, batching.spec, batching.dim, batching.input_px) == (
        lite.id,
        lite.spec,
        lite.dim,
        lite.input_px,
    )
    alone = {text: lite.encode_texts([text]) for text in texts}
    seen = [lite.encode_images([picture]) for picture in pictures]
    with ThreadPoolExecutor(12) as pool:
        by_text = pool.map(lambda text: (text, batching.encode_texts([text])), texts * 4)
        by_picture = pool.map(lambda i: (i, batching.encode_images([pictures[i]])), [0, 1, 2, 3, 4, 5] * 2)
        for text, row in by_text:
            assert row.shape == (1, lite.dim)
            assert float(row[0] @ alone[text][0]) > 0.9999
        for number, row in by_picture:
            assert float(row[0] @ seen[number][0]) > 0.9999


def test_it_has_exactly_the_capabilities_of_its_encoder(lite: Encoder, colours: ColourEncoder) -> None:
    batching = BatchingEncoder(lite)
    assert isinstance(batching, KnowsWords)
    assert isinstance(batching, HasVocabulary)
    assert not batching.understood(batching.encode_texts(["qwrtz xyx"])[0])
    plain = BatchingEncoder(colours)
    assert isinstance(plain, KnowsWords) == isinstance(colours, KnowsWords)
    assert isinstance(plain, HasVocabulary) == isinstance(colours, HasVocabulary)


def test_batched_and_empty_calls_are_passed_through(colours: ColourEncoder) -> None:
    batching = BatchingEncoder(colours)
    np.testing.assert_array_equal(
        batching.encode_texts(["red", "blue"]), colours.encode_texts(["red", "blue"])
    )
    assert batching.encode_texts([]).shape == batching.encode_images([]).shape == (0, colours.dim)
    with pytest.raises(EncoderError, match="empty"):
        batching.encode_texts([" "])
