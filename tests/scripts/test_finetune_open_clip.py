"""The fine-tuning script on a tiny model: it trains, writes a loadable model, and refuses invalid input."""

from __future__ import annotations

import csv
import itertools
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from openclip_local_dir import write_open_clip_folder
from PIL import Image

from imgsearch.encoders import load_encoder

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "finetune_open_clip.py"


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True, timeout=300)


def write_pairs(photos: Path, file: Path, *, column: str) -> Path:
    """Pair each photo of a shape with its colour, or with the next photo of its colour."""
    paths = sorted(photos.rglob("*.jpg"), key=lambda path: (path.stem.split("-")[0], path))
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["image", column])
        for path, following in itertools.pairwise(paths):
            colour = path.stem.split("-")[0]
            if column == "text":
                rows.writerow([path, f"{colour} {path.parent.name}"])
            elif following.stem.split("-")[0] == colour:
                rows.writerow([path, following])
    return file


@pytest.mark.slow
@pytest.mark.parametrize(("column", "options"), [("text", ["--lora", "4"]), ("other", ["--blocks", "1"])])
def test_a_tiny_model_learns_pairs_and_is_loaded_by_the_encoder(
    shared_photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, column: str, options: list[str]
) -> None:
    model = write_open_clip_folder(tmp_path / "model")
    pairs = write_pairs(shared_photos, tmp_path / "pairs.csv", column=column)
    out = tmp_path / "tuned"
    fast = ["--epochs", "6", "--batch", "16", "--lr", "1e-3", "--device", "cpu"]
    # In this process, to avoid the script's imports, which take longer than the training.
    arguments = ["--model", f"open_clip:local-dir:{model}", "--pairs", pairs, "--out", out, *fast, *options]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    before, after = (load_encoder(f"open_clip:local-dir:{folder}") for folder in (model, out))
    assert before.id != after.id
    rows = [encoder.encode_images([Image.new("RGB", (64, 64), "red")]) for encoder in (before, after)]
    assert rows[1].shape == (1, 64)
    assert not np.allclose(*rows)


@pytest.mark.slow
def test_bad_pairs_get_one_sentence_and_nothing_is_written(shared_photos: Path, tmp_path: Path) -> None:
    model = write_open_clip_folder(tmp_path / "model")
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("photo,words\na.jpg,red\n")
    done = run("--model", f"open_clip:local-dir:{model}", "--pairs", wrong, "--out", tmp_path / "tuned")
    assert done.returncode == 1
    assert "needs the columns image and text" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "tuned").exists()
