"""Time stamps, sizes and widths that no column holds end no run, and the next run finds everything unchanged."""

from __future__ import annotations

import os
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from samples import clustered, raw_items
from shop_folder import SmallShop, fill

from imgsearch.core.row_numbers import nanoseconds
from imgsearch.store.catalog import CatalogStore

YEAR_2286_NS = 10**19
TIMES_NS = (YEAR_2286_NS, 0, -1, -(10**18), 2**63 - 1)


def test_files_with_odd_times_are_indexed_and_unchanged_afterwards(
    small_shop: SmallShop, tmp_path: Path
) -> None:
    for path, stamp in zip(fill(tmp_path / "photos", len(TIMES_NS)), TIMES_NS, strict=True):
        try:
            os.utime(path, ns=(stamp, stamp))
        except (OSError, OverflowError):  # not every file system has such times
            os.utime(path, ns=(0, 0))
    report = small_shop.index(tmp_path / "photos")
    assert (report.added, report.failed) == (len(TIMES_NS), ())
    assert small_shop.index(tmp_path / "photos").unchanged == len(TIMES_NS)
    assert small_shop.encoded == len(TIMES_NS)


@pytest.mark.parametrize("mtime", ["inf", "nan", "1e300", "-1e300", "-1", "9999999999"])
def test_a_tar_with_an_odd_time_is_read(small_shop: SmallShop, tmp_path: Path, mtime: str) -> None:
    (photo,) = fill(tmp_path / "photos", 1)
    archive = tmp_path / "photos.tar"
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as file:
        member = file.gettarinfo(photo, "a.jpg")
        member.mtime = 0
        member.pax_headers = {"mtime": mtime}
        with photo.open("rb") as data:
            file.addfile(member, data)
    report = small_shop.index(archive)
    assert (report.added, report.failed) == (1, ())
    assert small_shop.index(archive).unchanged == 1


def test_a_zip_without_a_date_is_read(small_shop: SmallShop, tmp_path: Path) -> None:
    (photo,) = fill(tmp_path / "photos", 1)
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(zipfile.ZipInfo("a.jpg", (2107, 12, 31, 23, 59, 58)), photo.read_bytes())
    data = bytearray(archive.read_bytes())
    for place in (data.find(b"PK\3\4") + 10, data.find(b"PK\1\2") + 12):
        data[place : place + 4] = bytes(4)  # month and day 0
    archive.write_bytes(bytes(data))
    report = small_shop.index(archive)
    assert (report.added, report.failed) == (1, ())


def test_rows_hold_the_nearest_bound_of_what_is_out_of_their_columns(tmp_path: Path) -> None:
    huge, low = 2**80, -(2**80)
    with CatalogStore.open(tmp_path / "catalog", create=True) as catalog:
        catalog.bind_encoder("test:raw", "test:raw@8", 8)
        photos = [
            replace(photo, size_bytes=number, modified_ns=number, width_px=number, height_px=number)
            for photo, number in zip(raw_items(["a", "b", "c"]), (huge, low, 7), strict=True)
        ]
        catalog.store(photos, clustered(3, 8))
        stored = catalog.stored_photos(["a", "b", "c"])
        assert [
            (row.size_bytes, row.modified_ns, row.width_px) for row in map(stored.__getitem__, "abc")
        ] == [
            (2**63 - 1, 2**63 - 1, 2**31 - 1),
            (-(2**63), -(2**63), 0),
            (7, 7, 7),
        ]
        catalog.update_files(photos)
        assert [item.width_px for item in catalog.get_many(["a", "b", "c"])] == [2**31 - 1, 0, 7]


def test_seconds_of_any_clock_become_nanoseconds() -> None:
    seconds = (float("inf"), float("-inf"), float("nan"), 1e300, 9.3e9, 1.5, -1.0)
    assert [nanoseconds(each) for each in seconds] == [
        *(2**63 - 1, -(2**63), 0, 2**63 - 1, 2**63 - 1),
        *(1_500_000_000, -1_000_000_000),
    ]
