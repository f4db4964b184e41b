"""A shop's folder of photos and its catalog, for the field cases of sources."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from colour_encoder import ColourEncoder
from commands import run_in_process
from photos import COLOURS, SHAPES, draw_photo
from samples import index_into

from imgsearch.core.records import IndexingReport, Item
from imgsearch.store.catalog import CatalogStore

LOOKS = [(shape, colour) for shape in SHAPES for colour in COLOURS]


def fill(folder: Path, count: int = 16, *, first: int = 0) -> list[Path]:
    """Write `count` different photos `<number>.jpg` into a folder, from number `first` on."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(first, first + count):
        shape, colour = LOOKS[number % len(LOOKS)]
        path = folder / f"{number:03d}.jpg"
        draw_photo(shape, colour, number, size_px=64).save(path, quality=90)
        paths.append(path)
    return paths


class SmallShop:
    """A catalog, the log of its encoder, and what a person does with it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "catalog"
        self._log = folder / "encoded.log"
        self._log.touch()

    def index(self, *sources: str | Path, **options: Any) -> IndexingReport:
        """Index by the Python function, with a fast encoder."""
        return index_into(self.folder, ColourEncoder(log=self._log), sources, **options)

    @property
    def encoded(self) -> int:
        """How many photos were encoded so far."""
        return len(self._log.read_text(encoding="ascii").splitlines())

    def items(self) -> dict[str, Item]:
        """Return the catalog's items by id."""
        with CatalogStore.open(self.folder) as catalog:
            return {item.item_id: item for item in catalog.iter_items()}

    def run(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        """Run a command on the catalog and return (stdout, stderr); there is never a trace."""
        done = run_in_process([*map(str, arguments), "--catalog", str(self.folder)])
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout, done.stderr
