"""Embed the bundled Sample Store photos with the `lite` encoder, so that the demo opens in seconds.

    python scripts/embed_sample_store.py

Run it after the photos or the `lite` encoder have changed; a test says when it is due.
"""

import time

import numpy as np

from imgsearch.encoders import load_encoder
from imgsearch.images import decode_image
from imgsearch.sample_store import sample_store
from imgsearch.tables import read_table


def main() -> None:
    """Encode every photo of the manifest, in its order, and write the embeddings beside it."""
    store = sample_store()
    encoder = load_encoder("lite")
    images = list(read_table(store.manifest)["image"])
    begin = time.perf_counter()
    parts = []
    for start in range(0, len(images), 64):
        batch = [decode_image(store.folder / name) for name in images[start : start + 64]]
        parts.append(encoder.encode_images(batch))
    store.write_embeddings(encoder.id, np.vstack(parts))
    seconds = time.perf_counter() - begin
    print(f"{len(images)} photos in {seconds:.1f} s -> {store.embeddings} ({encoder.id})")


if __name__ == "__main__":
    main()
