"""Training of the image tower's projection: what a thing is, whatever its ground, light, side and colour.

It owns the losses. Four of them, in batches of pairs of pictures of one thing: the kinds of things are told apart
within a source; pictures of one kind, and more so of one thing, are drawn together (supervised and instance
contrast); the geometry of the frozen network is kept; and the network's own thousand classes stay readable.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from imgsearch.encoders.lite.backbone import Backbone
from imgsearch.encoders.lite.image_tower import (
    FEATURES,
    MEANING,
    ImageFeatures,
    ImageTower,
    MaskHead,
    extract_features,
)
from lite_training.sources import Picture

__all__ = ["Concepts", "Views", "look", "train_projection"]

STEPS = 600
_PAIRS = 384
_BLOCK_WEIGHTS = {"last": 1.0, "last of the thing": 1.0, "stage 6": 0.3, "spread of stage 6": 0.3, "stage 4": 0.2,
                  "spread of stage 4": 0.2, "stage 2": 0.1, "spread of stage 2": 0.1}  # fmt: skip
_INSTANCE_TAU, _KIND_TAU = 0.07, 0.1
_SHARPEST = 10.0  # of the kinds' softmax: sharper ones learn the training pictures by heart


@dataclass(frozen=True)
class Views:
    """The training pictures and what was seen in them, row by row."""

    pictures: list[Picture]
    seen: ImageFeatures


@dataclass(frozen=True)
class Concepts:
    """The kinds of things that the projection can tell apart, and their directions: ImageNet's 1,000, then ours.

    `directions` is (1000 + len(names), 384) float32, unit rows.
    """

    names: list[str]
    directions: np.ndarray


def look(backbone: Backbone, mask: MaskHead, pictures: list[Picture]) -> ImageFeatures:
    """Return what is seen in the pictures."""
    from imgsearch.encoders.lite.framing import pixels_of

    parts = []
    for start in range(0, len(pictures), 8):
        pixels = np.stack([pixels_of(picture.read()) for picture in pictures[start : start + 8]])
        parts.append(extract_features(mask, backbone(pixels), pixels))
        if start % 2000 == 1992:
            logging.info("features: %d of %d pictures", start + 8, len(pictures))
    return ImageFeatures(
        np.concatenate([p.features for p in parts]), np.concatenate([p.shares for p in parts])
    )


def train_projection(views: Views, backbone: Backbone, mask: MaskHead) -> tuple[ImageTower, Concepts]:
    """Return the tower with its projection and the directions of the concepts in it; held-out pictures are unused."""
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    used = [row for row, picture in enumerate(views.pictures) if not picture.held_out]
    pictures = [views.pictures[row] for row in used]
    features = torch.from_numpy(views.seen.features[used])
    sources, source = np.unique([picture.source for picture in pictures], return_inverse=True)
    names, kind = np.unique([picture.concept for picture in pictures], return_inverse=True)
    things, thing = np.unique([picture.thing for picture in pictures], return_inverse=True)
    of_source = [np.flatnonzero(source == number) for number in range(len(sources))]
    of_thing = [np.flatnonzero(thing == number) for number in range(len(things))]
    allowed = torch.zeros(len(sources), len(names), dtype=torch.bool)
    allowed[source, kind] = True

    tower = ImageTower()
    tower.mask.load_state_dict(mask.state_dict())
    tower.color_mean.copy_(_color_mean(views.seen.shares[used]))
    _set_scale(tower, features)
    scaled = (features - tower.mean) * tower.scale
    geometry = _geometry(scaled)
    _start_from_principal_axes(tower, geometry, source)
    geometry = functional.normalize(geometry, dim=1)

    pooled = features[:, : FEATURES["last"]]
    weight, bias = torch.from_numpy(backbone.classifier_weight), torch.from_numpy(backbone.classifier_bias)
    taught = (pooled @ weight.T + bias).softmax(dim=1)
    with torch.no_grad():
        start = tower(features)
        logits = (pooled - pooled.mean(dim=0)) @ (weight - weight.mean(dim=0)).T
        normal = start.T @ start + 0.5 * torch.eye(MEANING)
        known = functional.normalize(torch.linalg.solve(normal, start.T @ logits).T, dim=1)
        middle = start.mean(dim=0)
        ours = torch.stack(
            [functional.normalize(start[kind == k].mean(dim=0) - middle, dim=0) for k in range(len(names))]
        )
    known, ours = nn.Parameter(known), nn.Parameter(ours)
    sharpness, known_sharpness = nn.Parameter(torch.tensor(2.5)), nn.Parameter(torch.tensor(2.5))
    known_bias = nn.Parameter(torch.zeros(len(known)))
    optimizer = torch.optim.AdamW(
        [
            {"params": [tower.project.weight], "lr": 1e-3},
            {"params": [ours, known], "lr": 3e-3},
            {"params": [sharpness, known_sharpness, known_bias], "lr": 1e-2},
        ],
        weight_decay=0,
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
    each = _PAIRS // len(sources) // 2
    for step in range(1, STEPS + 1):
        first = np.concatenate([rng.choice(rows, each) for rows in of_source])
        second = np.array([rng.choice(of_thing[thing[row]]) for row in first])
        rows = np.concatenate([first, second])
        batch = features[rows]
        batch = batch + torch.randn_like(batch) * 0.05 / tower.scale / batch.shape[1] ** 0.5
        meaning = tower(batch)
        of_kind, of_things = torch.from_numpy(kind[rows]), torch.from_numpy(thing[rows])
        of_sources = torch.from_numpy(source[rows])
        scores = meaning @ functional.normalize(ours, dim=1).T * sharpness.exp().clamp(max=_SHARPEST)
        kinds = functional.cross_entropy(scores.masked_fill(~allowed[of_sources], -1e4), of_kind)
        alike = meaning @ meaning.T
        comparable = of_sources[:, None] == of_sources[None]
        same_thing = of_things[:, None] == of_things[None]
        instances = _contrast(alike / _INSTANCE_TAU, same_thing, comparable | same_thing)
        same_kind = (of_kind[:, None] == of_kind[None]) & comparable
        supervised = _contrast(alike / _KIND_TAU, same_kind, comparable)
        kept = ((alike - geometry[rows] @ geometry[rows].T) ** 2).mean()
        read = meaning @ functional.normalize(known, dim=1).T * known_sharpness.exp() + known_bias
        classes = functional.kl_div(read.log_softmax(dim=1), taught[rows], reduction="batchmean")
        loss = kinds + 0.5 * instances + 0.5 * supervised + kept + 0.5 * classes
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0:
            logging.info(
                "projection: step %d, kinds %.3f, things %.3f, geometry %.4f, classes %.3f",
                step, float(kinds.detach()), float(instances.detach()), float(kept.detach()), float(classes.detach()),
            )  # fmt: skip
    directions = functional.normalize(torch.cat([known, ours]).detach(), dim=1).numpy()
    return tower.requires_grad_(requires_grad=False).eval(), Concepts(names.tolist(), directions)


def _contrast(scores: torch.Tensor, positive: torch.Tensor, comparable: torch.Tensor) -> torch.Tensor:
    """Return the mean InfoNCE of each row's positives among what it is comparable with, itself aside."""
    itself = torch.eye(len(scores), dtype=torch.bool)
    log_shares = scores.masked_fill(itself | ~comparable, -1e4).log_softmax(dim=1)
    positive = positive & ~itself
    counted = positive.any(dim=1)
    mean = (log_shares * positive).sum(dim=1) / positive.sum(dim=1).clamp(min=1)
    result: torch.Tensor = -mean[counted].mean()
    return result


def _color_mean(shares: np.ndarray) -> torch.Tensor:
    roots = np.sqrt(shares)
    return torch.from_numpy((roots / np.linalg.norm(roots, axis=1, keepdims=True)).mean(axis=0))


def _set_scale(tower: ImageTower, features: torch.Tensor) -> None:
    """Centre the features, and bring each block to the length that its weight says."""
    tower.mean.copy_(features.mean(dim=0))
    place = 0
    for block, length in FEATURES.items():
        part = features[:, place : place + length] - tower.mean[place : place + length]
        tower.scale[place : place + length] = _BLOCK_WEIGHTS[block] / part.norm(dim=1).mean()
        place += length


def _geometry(scaled: torch.Tensor) -> torch.Tensor:
    """Return the part of the scaled features by which pictures are compared before training: the last layer."""
    kept = scaled.clone()
    kept[:, FEATURES["last"] + FEATURES["last of the thing"] :] = 0
    return kept


def _start_from_principal_axes(tower: ImageTower, geometry: torch.Tensor, source: np.ndarray) -> None:
    weight = torch.from_numpy(1 / np.sqrt(np.bincount(source)[source])).float()[:, None]
    _, axes = torch.linalg.eigh((geometry * weight).T @ (geometry * weight))
    tower.project.weight.data.copy_(axes.flip(1)[:, :MEANING].T)
