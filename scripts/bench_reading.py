"""Time how long a manifest takes to read, per photo: 100,000 rows of a CSV with local photos, URLs, prices and codes.

    python scripts/bench_reading.py [--rows 100000] [--against CHECKOUT]

With --against, the same table is read by the code of another checkout too, in turns, each in a process of its own.
Times are of the processor, so that other programs do not count; medians and their ratio are printed. The photos of
the local table are empty files: only listing is timed.
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TIMED = """
import json, sys, time
from imgsearch.ingest.sources import open_source
from imgsearch.store.item_table import Photo
started = time.process_time()
source = open_source(sys.argv[1])
count = source.count()
opened = time.process_time()
found = sum(isinstance(entry, Photo) for entry in source.photos())
done = time.process_time()
print(json.dumps({"open_s": opened - started, "list_s": done - opened, "total_s": done - started, "photos": found}))
"""


def main() -> None:
    """Write the tables, time them, print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--against", type=Path, help="a checkout of another version")
    arguments = parser.parse_args()
    here = Path(__file__).resolve().parents[1]
    versions = {"this": here} | ({"other": arguments.against.resolve()} if arguments.against else {})
    with tempfile.TemporaryDirectory() as folder:
        for name, table in write_tables(Path(folder), arguments.rows).items():
            seconds: dict[str, list[float]] = {version: [] for version in versions}
            for _ in range(arguments.rounds):
                for version, checkout in versions.items():
                    result = timed(checkout, table)
                    assert result["photos"] == arguments.rows, result
                    seconds[version].append(result["total_s"])
            medians = {version: statistics.median(values) for version, values in seconds.items()}
            line = f"{name}: {arguments.rows:,} rows"
            for version, median in medians.items():
                line += f"; {version} {median:.2f} s ({median / arguments.rows * 1e6:.1f} us a photo)"
            if "other" in medians:
                line += f"; ratio {medians['this'] / medians['other']:.2f}"
            print(line, flush=True)


def timed(checkout: Path, table: Path) -> dict[str, float]:
    """Return the seconds that a process of that version takes."""
    environment = {**os.environ, "PYTHONPATH": str(checkout)}
    command = [sys.executable, "-c", TIMED, str(table)]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    return json.loads(output)


def write_tables(folder: Path, rows: int) -> dict[str, Path]:
    """Write a table of local photos and one of URLs with more columns."""
    chance = random.Random(0)
    colours, materials = ["red", "blue", "green", "black"], ["oak", "steel", "glass", "linen", "paper"]
    words = [*colours, *materials, "small", "large", "mug", "lamp", "chair"]
    (folder / "photos").mkdir()
    local, remote = folder / "local.csv", folder / "remote.csv"
    with local.open("w") as first, remote.open("w") as second:
        first.write("id,image,title,category,price,in_stock\n")
        second.write("id,image,title,category,price,in_stock,sku,brand,weight,description\n")
        for number in range(rows):
            place = folder / "photos" / f"{number % 100:02d}"
            place.mkdir(exist_ok=True)
            (place / f"{number}.jpg").touch()
            title = " ".join(chance.sample(words, 4))
            shared = (
                f"{title},{words[number % 14]},{chance.randint(100, 99999) / 100},{number % 3 > 0}".lower()
            )
            first.write(f"p{number},photos/{place.name}/{number}.jpg,{shared}\n")
            text = " ".join(chance.choices(words, k=15))
            second.write(
                f"p{number},https://shop.example/{number}.jpg,{shared},{number:08d},{words[number % 7]},"
                f"{chance.randint(1, 900)},{text}\n"
            )
    return {"local photos": local, "URLs": remote}


if __name__ == "__main__":
    main()
