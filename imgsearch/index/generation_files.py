"""Index generations on disk: `<catalog>/index/NNNNNN/`, and the same beside each learned head.

A generation is a folder with the engine's file and `header.json`. It is written beside the old one and renamed into
place; the file `current` then names it with the checksum of its header, which has that of the engine's file.
"""

from __future__ import annotations

import json
import shutil
import threading
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from imgsearch.core.errors import IndexBehind, IndexCorrupt
from imgsearch.core.files import flush_to_disk, sha256_of_file, sha256_of_text, write_durably
from imgsearch.core.full_disk import naming_full_disk
from imgsearch.index.base import VectorIndex
from imgsearch.index.live_index import IndexHeader
from imgsearch.index.vector_space import VectorSpace

INDEX_FILE = "index.usearch"

_numbering = threading.Lock()


class GenerationFolder:
    """The generations of one vector space."""

    def __init__(self, catalog_folder: Path, space: VectorSpace) -> None:
        self._catalog_folder = catalog_folder
        self._space = space

    def read_header(self) -> IndexHeader:
        """Return the header that `current` names, after checking its checksum; raises `IndexCorrupt`."""
        folder = self._space.folder
        if not (folder / "current").exists():
            raise IndexBehind("it was never saved")
        try:
            number, digest = (folder / "current").read_text(encoding="ascii").split()
            text = (folder / f"{int(number):06d}" / "header.json").read_text(encoding="utf-8")
            if sha256_of_text(text) != digest:
                raise ValueError("the header was changed")
            return IndexHeader(**json.loads(text))
        except (OSError, ValueError, TypeError) as error:
            raise IndexCorrupt(f"there is no readable generation in {folder}") from error

    def checked_file(self, header: IndexHeader) -> Path:
        """Return the engine's file of a generation; raises `IndexCorrupt` if space or checksum do not match."""
        if header.encoder_id != self._space.id or header.dim != self._space.dim:
            raise IndexCorrupt(f"generation {header.generation} belongs to the encoder {header.encoder_id}")
        file = self._space.folder / f"{header.generation:06d}" / INDEX_FILE
        if not file.is_file() or sha256_of_file(file) != header.sha256:
            raise IndexCorrupt(f"the file of generation {header.generation} does not match its checksum")
        return file

    def write(self, index: VectorIndex, header: IndexHeader) -> IndexHeader:
        """Write the index as a new generation, activate it, and return its header.

        `header` has the number of the generation before, which is kept as well; number, checksum and time are set
        here.
        """
        with naming_full_disk(self._catalog_folder):
            return self._write(index, header)

    def _write(self, index: VectorIndex, header: IndexHeader) -> IndexHeader:
        number, part = self._new_part(header.generation)
        file = part / INDEX_FILE
        try:
            index.save(file)
            flush_to_disk(file)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
        before = header.generation
        header = replace(
            header,
            generation=number,
            sha256=sha256_of_file(file),
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        text = json.dumps(asdict(header), indent=2)
        write_durably(part / "header.json", text)
        final = self._space.folder / f"{number:06d}"
        shutil.rmtree(final, ignore_errors=True)  # left by a run that was killed between the two renames
        part.rename(final)
        write_durably(self._space.folder / "current", f"{number:06d} {sha256_of_text(text)}\n")
        self._delete_except({f"{number:06d}", f"{before:06d}"})
        return header

    def _new_part(self, before: int) -> tuple[int, Path]:
        """Return a number that no generation of any space has had, and a new folder to write it in."""
        with _numbering:
            number = max(before, self._highest_number()) + 1
            part = self._space.folder / f".{number:06d}.part"
            shutil.rmtree(part, ignore_errors=True)
            part.mkdir(parents=True)
        return number, part

    def _highest_number(self) -> int:
        """Return the highest number of a generation of any space, including those being written."""
        folders = [*self._catalog_folder.glob("index/*"), *self._catalog_folder.glob("heads/*/index/*")]
        names = [folder.name.removeprefix(".").removesuffix(".part") for folder in folders]
        return max((int(name) for name in names if name.isdigit()), default=0)

    def _delete_except(self, keep: set[str]) -> None:
        for folder in self._space.folder.iterdir():
            if folder.is_dir() and folder.name.lstrip(".").split(".")[0] not in keep:
                shutil.rmtree(folder, ignore_errors=True)
