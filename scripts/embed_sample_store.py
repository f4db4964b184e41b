"""Precompute the `lite` embeddings and looks of the bundled Sample Store photos, so that the demo opens in seconds.

    python scripts/embed_sample_store.py

Run it after the photos, the `lite` encoder or the looks change; a test fails when it is due.
"""

import argparse
import time

import numpy as np

from imgsearch.demo import sample_store
from imgsearch.encoders import load_encoder
from imgsearch.ingest.tables import read_table
from imgsearch.vision.images import decode_image
from imgsearch.vision.looks import describe


def main() -> None:
    """Write the embedding and look of every photo, in the manifest's order, next to the manifest."""
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    store = sample_store()
    encoder = load_encoder("lite")
    table = read_table(store.manifest)
    images, ids = table.column("image").values(), table.column("id").values()
    begin = time.perf_counter()
    parts, looks = [], {}
    for start in range(0, len(images), 64):
        batch = [decode_image(store.folder / name) for name in images[start : start + 64]]
        parts.append(encoder.encode_images(batch))
        looks.update(zip(ids[start : start + 64], map(describe, batch), strict=True))
    store.write_embeddings(encoder.id, np.vstack(parts))
    store.write_looks(looks)
    seconds = time.perf_counter() - begin
    print(f"{len(images)} photos in {seconds:.1f} s -> {store.embeddings} ({encoder.id})")


if __name__ == "__main__":
    main()
