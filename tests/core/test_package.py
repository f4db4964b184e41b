"""The house: imports point downward, heavy libraries are loaded late, each third-party library has one owner."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

import imgsearch

PACKAGE = Path(imgsearch.__file__).parent

FLOORS = {
    "errors": 0,
    "records": 0,
    "spreadsheets": 0,
    "ordered_keys": 0,
    "config": 1,
    "filters": 1,
    "links": 1,
    "memory": 0,
    "images": 1,
    "schema": 0,
    "database": 1,
    "embeddings": 1,
    "files": 1,
    "metrics": 1,
    "encoders": 2,
    "batching": 3,
    "indexes": 2,
    "catalog": 2,
    "feedback": 2,
    "collections_store": 3,
    "thumbnails": 2,
    "uploads": 2,
    "heads": 2,
    "spaces": 2,
    "generations": 3,
    "tuning": 3,
    "indexing": 3,
    "search": 3,
    "verification": 3,
    "jobs": 1,
    "sample_store": 3,
    "systems": 3,
    "side_by_side": 3,
    "service": 4,
    "documents": 4,
    "notebook": 5,
    "openapi": 4,
    "api": 5,
    "terminal": 5,
    "commands": 5,
    "ui": 5,
    "asgi": 6,
    "cli": 6,
    "__main__": 7,
    "reading.originals": 1,
    "reading.sources": 2,
    "reading.tables": 1,
    "reading.preparing": 2,
    "reading.workers": 2,
    "reading.remote_files": 1,
    "reading.imported": 2,
    "looks.look": 1,
    "looks.oklab": 1,
    "looks.saliency": 1,
    "looks.store": 2,
    "looks.filling": 3,
    "words.titles": 3,
    "words.title_store": 2,
    "words.query_words": 1,
    "words.spelling": 1,
    "words.help": 3,
    "ranking.composition": 1,
    "ranking.reranking": 3,
    "ranking.diversity": 1,
    "ranking.alignment": 1,
    "ranking.duplicates": 3,
    "ranking.rules": 3,
    "ranking.calibration": 3,
    "ranking.confidence": 3,
    "explore.explorer": 3,
    "explore.projection": 1,
    "explore.clusters": 1,
    "explore.cluster_words": 3,
    "explore.worker": 1,
    "quality.measuring": 3,
    "quality.evaluation": 3,
    "quality.comparison": 3,
    "quality.qrels": 3,
    "quality.ground_truth": 3,
    "quality.reports": 3,
    "quality.report_html": 3,
    "quality.report_files": 3,
    "quality.robustness": 3,
    "judging.sets": 3,
    "judging.pools": 3,
    "judging.agreement": 3,
    "judging.files": 3,
    "experiments.experiment": 3,
    "experiments.outcomes": 3,
    "experiments.statistics": 1,
    "adaptation.adapting": 3,
    "adaptation.training_pairs": 3,
    "adaptation.learning": 1,
    "monitoring.overview": 3,
    "monitoring.telemetry": 2,
    "monitoring.drift": 3,
    "monitoring.retention": 3,
    "fleet.encoding": 3,
    "fleet.shards": 2,
    "fleet.replicas": 3,
    "fleet.shared_index": 3,
}
"""The floor of every module, and of every subpackage whose modules stand on one floor: each imports only from its own
floor and those below."""

ROOMS = {f"imgsearch.{part.split('.')[0]}" for part in FLOORS if "." in part}

OWNERS = {
    "torch": {"adaptation.learning", "encoders"},
    "open_clip": {"encoders"},
    "timm": {"encoders"},
    "usearch": {"indexes"},
    "numkong": {"indexes"},
    "faiss": {"indexes"},
    "pymilvus": {"indexes"},
    "ray": {"fleet.encoding"},
    "fsspec": {"reading.remote_files"},
    "onnx": {"encoders"},
    "onnxruntime": {"encoders"},
    "duckdb": {"database"},
    "PIL": {"encoders", "images", "looks.look", "looks.saliency", "quality.robustness", "service"},
    "pillow_heif": {"images"},
    "httpx2": {"fleet.replicas", "reading.originals"},
    "filelock": {"database"},
    "ir_measures": {"quality.evaluation"},
    "typer": {"cli", "commands", "terminal"},
    "starlette": {"api", "asgi"},
    "streamlit": {"asgi", "ui"},
    "altair": {"ui"},
    "scipy": {
        "experiments.statistics",
        "explore.clusters",
        "explore.projection",
        "looks.look",
        "looks.saliency",
        "monitoring.drift",
        "quality.robustness",
        "ranking.alignment",
        "ranking.duplicates",
    },
    "umap": {"explore.worker"},
    "rapidfuzz": {"words.spelling"},
}
"""Which parts of the house may import a third-party library while the program runs (type checking aside)."""


def part_of(path: Path) -> str:
    """Return the module or subpackage that a file belongs to, as FLOORS names it."""
    return named(path.relative_to(PACKAGE).with_suffix("").parts)


def named(parts: Sequence[str]) -> str:
    """Return what FLOORS calls a module of the package, given by the parts of its dotted name."""
    return ".".join(parts[:2]) if ".".join(parts[:2]) in FLOORS else parts[0]


def files() -> list[Path]:
    return sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


def imported(path: Path) -> set[str]:
    """Return the dotted names that a file imports at run time, at its top or inside functions."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names.update(f"{node.module}.{alias.name}" for alias in node.names if node.module in ROOMS)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path: Path) -> None:
    own = part_of(path)
    if path.parent.name in {room.removeprefix("imgsearch.") for room in ROOMS} and path.name == "__init__.py":
        assert not imported(path), "a room's own file only says what the room is for"
        return
    assert own in FLOORS, f"{own} has no floor yet: give it one in this test"
    for name in imported(path):
        parts = name.split(".")
        # `Filter.__str__` reaches up one floor, when it is called, to the grammar that owns its text.
        if (
            parts[0] == "imgsearch"
            and name not in ROOMS | {"imgsearch"}
            and (own, parts[1]) != ("records", "filters")
        ):
            assert FLOORS[named(parts[1:])] <= FLOORS[own], f"{own} imports {name} from a floor above"


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_a_third_party_library_is_imported_by_its_owner_alone(path: Path) -> None:
    for name in imported(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or part_of(path) in owners, f"{part_of(path)} imports {name}"


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(output.split())


def test_importing_the_package_loads_next_to_nothing() -> None:
    assert not loaded_by("import imgsearch") & {"torch", "streamlit", "duckdb", "numpy", "pandas", "PIL"}


@pytest.mark.parametrize(
    "module", ["service", "indexing", "search", "verification", "cli", "encoders", "api"]
)
def test_no_module_loads_a_model_library_before_a_model_is_wanted(module: str) -> None:
    assert not loaded_by(f"import imgsearch.{module}") & {
        "torch",
        "open_clip",
        "timm",
        "streamlit",
        "torchvision",
    }


def test_the_app_starts_without_the_parts_of_scipy() -> None:
    parts = {"special", "linalg", "sparse", "ndimage", "fft", "spatial", "cluster"}
    assert not loaded_by("import imgsearch.app.asgi") & {f"scipy.{part}" for part in parts}, (
        "they take a third of a second"
    )


def test_the_public_names_of_every_module_exist_and_are_sorted() -> None:
    for path in files():
        if "__all__" not in path.read_text(encoding="utf-8") or path.name == "__main__.py":
            continue
        dotted = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")
        if dotted.startswith("imgsearch.ui"):
            continue  # pages run when they are imported
        module = __import__(dotted, fromlist=["__all__"])
        for name in module.__all__:
            assert hasattr(module, name), f"{dotted}.__all__ names {name}"


def test_every_error_has_a_code_of_its_own() -> None:
    from imgsearch.core import errors

    classes = [getattr(errors, name) for name in errors.__all__]
    assert len({error.code for error in classes}) == len(classes)
    assert all(issubclass(error, errors.ImgSearchError) for error in classes)
    assert errors.__doc__ is not None
    for error in classes:
        assert error.__name__ in errors.__doc__


def test_library_code_neither_prints_nor_exits() -> None:
    for path in files():
        # The map's worker is a process of its own.
        if part_of(path) in ("cli", "commands", "terminal", "explore.worker", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit"):
                raise AssertionError(f"{path.name}:{node.lineno} exits")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert imgsearch.__version__.count(".") == 2
