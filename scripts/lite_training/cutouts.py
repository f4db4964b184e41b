"""Cut-outs of photos by GrabCut (Rother, Kolmogorov and Blake 2004), and pictures that shops would make of them.

It owns the cutting and the composing; the cut-outs are kept as PNG files with transparency.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

__all__ = ["cut_out", "cut_out_all", "on_white", "shown"]

_PX = 160
_LEAST, _MOST = 0.08, 0.9  # of the picture: less or more than this was cut wrongly


def cut_out_all(photos: dict[str, Path], folder: Path) -> None:
    """Write a cut-out of every photo that has none yet; those that fail are left out."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.setNumThreads(1)
    for name, path in photos.items():
        target = folder / f"{name}.png"
        if not target.exists() and (image := cut_out(path)) is not None:
            cv2.imwrite(str(target), image, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    logging.info("%d cut-outs of %d photos", len(list(folder.glob("*.png"))), len(photos))


def cut_out(path: Path) -> np.ndarray | None:
    """Return the photo with transparency, (height, width, 4) uint8 in OpenCV's order, or None where it fails.

    The thing is taken to be in the middle; what touches the rim is background.
    """
    image = cv2.imread(str(path))
    height, width = image.shape[:2]
    scale = _PX / max(height, width)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]]
    distance = ((rows / size[1] - 0.5) / 0.42) ** 2 + ((columns / size[0] - 0.5) / 0.42) ** 2
    guess = np.where(distance < 1, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    guess[distance < 0.12] = cv2.GC_FGD
    rim = max(2, round(0.03 * max(size)))
    guess[:rim] = guess[-rim:] = cv2.GC_BGD
    guess[:, :rim] = guess[:, -rim:] = cv2.GC_BGD
    try:
        cv2.grabCut(small, guess, None, np.zeros((1, 65)), np.zeros((1, 65)), 3, cv2.GC_INIT_WITH_MASK)
    except cv2.error:
        return None
    thing = ((guess == cv2.GC_FGD) | (guess == cv2.GC_PR_FGD)).astype(np.uint8)
    thing = cv2.morphologyEx(thing, cv2.MORPH_OPEN, np.ones((3, 3)))
    thing = cv2.morphologyEx(thing, cv2.MORPH_CLOSE, np.ones((5, 5)))
    count, labels, figures, _ = cv2.connectedComponentsWithStats(thing)
    if count < 2:
        return None
    largest = figures[1:, cv2.CC_STAT_AREA].max()
    parts = [n for n in range(1, count) if figures[n, cv2.CC_STAT_AREA] > 0.15 * largest]
    kept = np.isin(labels, parts)
    if not _LEAST <= kept.mean() <= _MOST:
        return None
    alpha = cv2.resize(kept.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
    return np.dstack([image, (alpha * 255).astype(np.uint8)])


def shown(path: Path) -> Image.Image:
    """Return a cut-out, without the empty space around it."""
    image = Image.open(path).convert("RGBA")
    box = image.getchannel("A").point(lambda value: 255 * (value > 127)).getbbox()
    return image.crop(box) if box else image


def on_white(path: Path) -> Image.Image:
    """Return a cut-out as a shop shows it: on a plain light ground, of some size; the same for the same file name."""
    rng = random.Random(path.stem + "0")
    image = shown(path)
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    width, height = rng.choice([(300, 300), (300, 400), (240, 320)])
    scale = rng.uniform(0.6, 0.95) * min(width / image.width, height / image.height)
    image = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    grey = rng.choice([255, 255, 255, 245, 238, 230])
    ground = Image.new("RGB", (width, height), (grey, grey, grey))
    ground.paste(image, ((width - image.width) // 2, (height - image.height) // 2), image)
    return ground
