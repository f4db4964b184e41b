"""Fine-tune both towers of an open_clip model on matching pairs; needs a GPU.

    python scripts/finetune_open_clip.py --model open_clip:ViT-B-32/laion2b_s34b_b79k --catalog DIR --out FOLDER
    python scripts/finetune_open_clip.py --model open_clip:local-dir:MODEL --pairs pairs.csv --out FOLDER --lora 8
    imgsearch index PHOTOS --catalog NEW --encoder open_clip:local-dir:FOLDER

The pairs come from a catalog (its titles, and what visitors clicked and labelers called good), from a CSV with the
columns `image` and `text` or `other` (another image), paths relative to the CSV, or from both. It trains
the last blocks of both towers (--blocks), or low-rank updates of their weights (--lora RANK: Hu et al., "LoRA",
ICLR 2022), which are merged into the weights at the end. The loss is CLIP's (Radford et al., "Learning Transferable
Visual Models From Natural Language Supervision", ICML 2021). A tenth of the pairs is held out; FOLDER is written only
if their loss falls. A light head on the frozen model needs no GPU: `imgsearch adapt`.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import csv
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from safetensors.torch import save_file
from torch.nn.utils import parametrize

from imgsearch.core.errors import ImgSearchError
from imgsearch.encoders.spec import EncoderSpec
from imgsearch.improve.adaptation.relevance import relevance_table
from imgsearch.improve.judging.topics import Topic, topic_query
from imgsearch.store.catalog import CatalogStore
from imgsearch.store.feedback import FeedbackLog
from imgsearch.store.originals import Originals
from imgsearch.vision.images import decode_image

FEWEST_PAIRS = 20
LIKED_FROM = 0.1
"""The relevance margin over the query's other items above which an item and its query form a pair."""


@dataclass(frozen=True)
class Pair:
    """A photo and its match: a text, or the location of another photo."""

    image: str
    text: str = ""
    other: str = ""


def main() -> None:
    options = _options()
    try:
        pairs = _pairs_of_csv(options.pairs) if options.pairs else []
        if options.catalog:
            pairs += _pairs_of_catalog(options.catalog)
        before, after = finetune(options, pairs)
    except (ImgSearchError, OSError, ValueError) as error:
        sys.exit(f"finetune_open_clip: {error}")
    print(json.dumps({"pairs": len(pairs), "held_out_loss": {"before": before, "after": after}}))
    if after >= before:
        sys.exit("finetune_open_clip: the loss on held-out pairs did not fall, so nothing was written.")


def finetune(options: argparse.Namespace, pairs: Sequence[Pair]) -> tuple[float, float]:
    """Train, write the folder if the held-out loss falls, and return that loss before and after."""
    if len(pairs) < FEWEST_PAIRS:
        raise ValueError(f"there are {len(pairs)} pairs, but at least {FEWEST_PAIRS} are needed.")
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    spec = EncoderSpec.parse(options.model)
    name = f"local-dir:{spec.folder}" if spec.kind == "local-dir" else spec.model
    device = options.device or ("cuda" if torch.cuda.is_available() else "cpu")
    model = open_clip.create_model(name, pretrained=spec.tag or None, require_pretrained=True, device=device)
    config, preprocess = open_clip.get_model_config(name), PreprocessCfg(**model.visual.preprocess_cfg)
    tokenizer = open_clip.get_tokenizer(name)
    order = rng.permutation(len(pairs))
    held = [pairs[place] for place in order[: max(len(pairs) // 10, 4)]]
    learned = [pairs[place] for place in order[len(held) :]]
    reader = _Reader(tokenizer, device)
    plain, varied = (image_transform_v2(preprocess, is_train=training) for training in (False, True))
    before = _held_out_loss(model, reader, plain, held, options.batch)
    parameters = _add_lora(model, options) if options.lora else _open_blocks(model, options.blocks)
    optimiser = torch.optim.AdamW(parameters, lr=options.lr, weight_decay=0.05)
    model.train()
    for epoch in range(options.epochs):
        losses = []
        for batch in _batches(learned, options.batch, rng):
            loss = _loss(model, reader, varied, batch)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(float(loss.detach()))
        print(
            f"epoch {epoch + 1} of {options.epochs}: loss {np.mean(losses):.4f}", file=sys.stderr, flush=True
        )
    _merge_lora(model)
    after = _held_out_loss(model, reader, plain, held, options.batch)
    if after < before:
        _write(options.out, model, config, preprocess)
    return before, after


# --- pairs ------------------------------------------------------------------------------------------------------


def _pairs_of_csv(path: Path) -> list[Pair]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows or "image" not in rows[0] or not {"text", "other"} & rows[0].keys():
        raise ValueError(f"{path} needs the columns image and text, or image and other.")
    folder = path.resolve().parent
    return [
        Pair(
            str(folder / row["image"]),
            text=(row.get("text") or "").strip(),
            other=str(folder / row["other"]) if row.get("other") else "",
        )
        for row in rows
        if row.get("text") or row.get("other")
    ]


def _pairs_of_catalog(folder: Path) -> list[Pair]:
    """Return every photo with its title, and every one-term query with its relevant items."""
    with CatalogStore.open(folder) as catalog, contextlib.closing(FeedbackLog(catalog.database)) as feedback:
        items = {item.item_id: item for item in catalog.iter_items()}
        pairs = [
            Pair(item.location, text=str(item.metadata["title"]))
            for item in items.values()
            if item.metadata.get("title")
        ]
        frame = relevance_table(catalog, feedback.latest_judgments()).frame
        usual = frame.groupby("query_key")["relevance"].transform("mean")
        for row in frame[frame["relevance"] >= usual + LIKED_FROM].itertuples():
            liked = items.get(str(row.item_id))
            with contextlib.suppress(ImgSearchError):
                (term, *others) = topic_query(Topic(str(row.query_key), "query", str(row.query_key))).terms
                if liked is None or others or term.value == row.item_id:
                    continue
                if term.kind == "text":
                    pairs.append(Pair(liked.location, text=str(term.value)))
                elif term.kind == "item" and str(term.value) in items:
                    pairs.append(Pair(liked.location, other=items[str(term.value)].location))
        return pairs


def _batches(pairs: Sequence[Pair], size: int, rng: np.random.Generator) -> Iterator[list[Pair]]:
    """Yield shuffled batches, each of texts or of photos; a remainder of one pair is dropped."""
    batches = []
    for kind in (True, False):
        mine = [pair for pair in pairs if bool(pair.text) == kind]
        order = rng.permutation(len(mine))
        batches += [
            [mine[place] for place in order[start : start + size]] for start in range(0, len(mine), size)
        ]
    for place in rng.permutation(len(batches)):
        if len(batches[place]) > 1:
            yield batches[place]


class _Reader:
    """Turns pairs into the model's inputs."""

    def __init__(self, tokenizer: Any, device: str) -> None:
        self._tokenizer, self._device, self._originals = tokenizer, device, Originals()

    def photos(self, locations: Sequence[str], transform: Any) -> torch.Tensor:
        """Return the images, (n, 3, height, width); raises `ImgSearchError` for an unreadable one."""
        pictures = [transform(decode_image(self._originals.read(location))) for location in locations]
        return torch.stack(pictures).to(self._device)

    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Return the tokens of the texts."""
        return self._tokenizer(list(texts)).to(self._device)


# --- training ---------------------------------------------------------------------------------------------------


def _loss(model: Any, reader: _Reader, transform: Any, batch: Sequence[Pair]) -> torch.Tensor:
    photos = model.encode_image(reader.photos([pair.image for pair in batch], transform), normalize=True)
    if batch[0].text:
        others = model.encode_text(reader.texts([pair.text for pair in batch]), normalize=True)
    else:
        others = model.encode_image(reader.photos([pair.other for pair in batch], transform), normalize=True)
    scores = model.logit_scale.exp() * photos @ others.T
    targets = torch.arange(len(batch), device=scores.device)
    entropy = torch.nn.functional.cross_entropy
    return (entropy(scores, targets) + entropy(scores.T, targets)) / 2


@torch.inference_mode()
def _held_out_loss(model: Any, reader: _Reader, transform: Any, pairs: Sequence[Pair], size: int) -> float:
    model.eval()
    batches = list(_batches(pairs, size, np.random.default_rng(0)))
    if not batches:
        raise ValueError("too few pairs of one kind are held out; give more pairs.")
    return float(np.mean([float(_loss(model, reader, transform, batch)) for batch in batches]))


def _last_blocks(model: Any, count: int) -> list[torch.nn.Module]:
    """Return the last transformer blocks of both towers; raises ValueError if the model has none."""
    text = model.text if hasattr(model, "text") else model
    towers = [getattr(tower, "transformer", None) for tower in (model.visual, text)]
    blocks = [list(getattr(tower, "resblocks", []))[-count:] for tower in towers]
    if not any(blocks):
        raise ValueError("this model has no transformer blocks to fine-tune.")
    return [block for tower in blocks for block in tower]


def _open_blocks(model: Any, count: int) -> list[torch.nn.Parameter]:
    """Make only the last blocks trainable, and return their parameters."""
    model.requires_grad_(False)
    parameters = []
    for block in _last_blocks(model, count):
        block.requires_grad_(True)
        parameters += list(block.parameters())
    return parameters


class _LowRank(torch.nn.Module):
    """A weight with a trainable low-rank update, initially zero."""

    def __init__(self, weight: torch.Tensor, rank: int) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = torch.nn.Parameter(torch.randn(rank, columns, device=weight.device) / columns**0.5)
        self.up = torch.nn.Parameter(torch.zeros(rows, rank, device=weight.device))

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """Return the updated weight."""
        return weight + self.up @ self.down


def _add_lora(model: Any, options: argparse.Namespace) -> list[torch.nn.Parameter]:
    """Add a low-rank update to every matrix of the last blocks, and return the trainable parameters."""
    model.requires_grad_(False)
    parameters = []
    for block in _last_blocks(model, options.blocks):
        for module in list(block.modules()):
            for name, weight in list(module.named_parameters(recurse=False)):
                if weight.ndim == 2:
                    correction = _LowRank(weight, options.lora)
                    parametrize.register_parametrization(module, name, correction)
                    parameters += list(correction.parameters())
    return parameters


def _merge_lora(model: Any) -> None:
    for module in list(model.modules()):
        for name in list(getattr(module, "parametrizations", {})):
            parametrize.remove_parametrizations(module, name, leave_parametrized=True)


def _write(folder: Path, model: Any, config: dict[str, Any], preprocess: PreprocessCfg) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    document = {"model_cfg": copy.deepcopy(config), "preprocess_cfg": vars(preprocess)}
    (folder / "open_clip_config.json").write_text(json.dumps(document, indent=2), encoding="utf-8")
    weights = {
        name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()
    }
    save_file(weights, folder / "open_clip_model.safetensors")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--model", required=True, help="the encoder spec to start from: open_clip:...")
    parser.add_argument("--out", type=Path, required=True, help="the folder to write")
    parser.add_argument("--catalog", type=Path, help="a catalog with titles and feedback to train on")
    parser.add_argument("--pairs", type=Path, help="a CSV of pairs: image and text, or image and other")
    parser.add_argument(
        "--blocks", type=int, default=2, help="number of trained last blocks of each tower (default: 2)"
    )
    parser.add_argument(
        "--lora", type=int, default=0, metavar="RANK", help="train low-rank updates instead of full weights"
    )
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument(
        "--lr", type=float, default=1e-5, help="learning rate (default: 1e-5; with --lora try 1e-4)"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", help="cuda, mps or cpu (default: cuda if available)")
    options = parser.parse_args()
    if options.catalog is None and options.pairs is None:
        parser.error("give --catalog, --pairs, or both")
    if min(options.blocks, options.epochs) < 1 or options.batch < 2 or options.lora < 0:
        parser.error("--blocks and --epochs must be at least 1, --batch at least 2, --lora at least 0")
    return options


if __name__ == "__main__":
    main()
