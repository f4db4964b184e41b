"""Training of the mask: which cells of a picture belong to the thing.

Its truth is made, not labelled: cut-outs and renderings put on plain, light or photographed grounds, and photos with
their own cut-out.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import nn

from imgsearch.encoders.lite.backbone import MASK_CELLS, Backbone
from imgsearch.encoders.lite.framing import INPUT_PX, plain_border
from imgsearch.encoders.lite.image_tower import MaskHead
from lite_training.cutouts import shown

__all__ = ["train_mask"]

_STEPS = 400
_BATCH = 8


class _Scenes:
    """Makes (picture, mask) pairs from cut-outs, renderings on plain grounds, and photos that serve as grounds."""

    def __init__(
        self, cutouts: list[Path], photos: dict[str, Path], rendered: list[Path], grounds: list[Path]
    ) -> None:
        self._cutouts, self._photos, self._rendered, self._grounds = cutouts, photos, rendered, grounds
        self._rng = random.Random(0)

    def make(self) -> tuple[Image.Image, Image.Image]:
        """Return a 224 px picture and its 28 px mask."""
        kind = self._rng.random()
        if kind < 0.25:
            return self._photo()
        thing = shown(self._rng.choice(self._cutouts)) if kind < 0.75 else self._rendered_thing()
        return self._composed(thing)

    def _photo(self) -> tuple[Image.Image, Image.Image]:
        path = self._rng.choice(self._cutouts)
        mask = Image.open(path).getchannel("A")
        photo = ImageOps.exif_transpose(Image.open(self._photos[path.stem])).convert("RGB")
        mask = mask.resize(photo.size)
        side = int(min(photo.size) * self._rng.uniform(0.85, 1))
        x, y = self._rng.randint(0, photo.width - side), self._rng.randint(0, photo.height - side)
        box = (x, y, x + side, y + side)
        square = photo.crop(box).resize((INPUT_PX, INPUT_PX), Image.Resampling.BICUBIC)
        return square, mask.crop(box).resize((MASK_CELLS, MASK_CELLS), Image.Resampling.BOX)

    def _rendered_thing(self) -> Image.Image:
        while True:
            image = Image.open(self._rng.choice(self._rendered)).convert("RGB")
            pixels = np.asarray(image)
            found = plain_border(pixels)
            if found is None:
                continue
            distance = np.abs(pixels.astype(int) - np.array(found[1])).max(axis=2)
            image.putalpha(Image.fromarray(np.clip((distance - 14) * 12, 0, 255).astype(np.uint8)))
            return image.crop(found[0])

    def _composed(self, thing: Image.Image) -> tuple[Image.Image, Image.Image]:
        rng, px = self._rng, INPUT_PX
        scale = rng.uniform(0.45, 1.0) * px / max(thing.size)
        thing = thing.resize(
            (max(2, round(thing.width * scale)), max(2, round(thing.height * scale))),
            Image.Resampling.BICUBIC,
        )
        if rng.random() < 0.5:
            thing = ImageOps.mirror(thing)
        # Half way between anywhere and the middle.
        x = (rng.randint(0, max(0, px - thing.width)) + (px - thing.width) // 2) // 2
        y = (rng.randint(0, max(0, px - thing.height)) + (px - thing.height) // 2) // 2
        picture, mask = self._ground(), Image.new("L", (px, px))
        picture.paste(thing, (x, y), thing)
        mask.paste(thing.getchannel("A"), (x, y))
        return picture, mask.resize((MASK_CELLS, MASK_CELLS), Image.Resampling.BOX)

    def _ground(self) -> Image.Image:
        rng, px = self._rng, INPUT_PX
        kind = rng.random()
        if kind < 0.5:
            grey = rng.choice([255, 255, 250, 240, 225])
            return Image.new("RGB", (px, px), (grey, grey, grey))
        if kind < 0.65:
            return Image.new(
                "RGB", (px, px), (rng.randint(60, 255), rng.randint(60, 255), rng.randint(60, 255))
            )
        photo = Image.open(rng.choice(self._grounds)).convert("RGB")
        side = min(photo.size) // rng.choice([1, 2, 3])
        x, y = rng.randint(0, photo.width - side), rng.randint(0, photo.height - side)
        return photo.crop((x, y, x + side, y + side)).resize((px, px))


def train_mask(
    backbone: Backbone,
    cutouts: list[Path],
    photos: dict[str, Path],
    rendered: list[Path],
    grounds: list[Path],
) -> MaskHead:
    """Return a trained mask head; `photos` maps a cut-out's name to its photo, `grounds` are photos of anything."""
    torch.manual_seed(0)
    scenes = _Scenes(cutouts, photos, rendered, grounds)
    head = MaskHead()
    optimizer = torch.optim.AdamW(head.parameters(), 2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 5e-3, total_steps=_STEPS)
    overlaps = []
    for step in range(1, _STEPS + 1):
        batch = [scenes.make() for _ in range(_BATCH)]
        pixels = np.stack([np.asarray(picture).transpose(2, 0, 1) for picture, _ in batch])
        truth = torch.from_numpy(np.stack([np.asarray(mask) for _, mask in batch])).float() / 255
        maps = {stage: values.clone() for stage, values in backbone(pixels).maps.items()}
        logits = head(maps)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, truth)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        found, there = logits.detach() > 0, truth > 0.5
        overlaps.append(float((found & there).sum() / (found | there).sum().clamp(min=1)))
        if step % 100 == 0:
            logging.info("mask: step %d, intersection over union %.3f", step, float(np.mean(overlaps[-100:])))
    return head.requires_grad_(requires_grad=False).eval()
