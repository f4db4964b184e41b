"""The house: imports point downward, heavy libraries are loaded late, each third-party library has one owner."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import imgsearch

PACKAGE = Path(imgsearch.__file__).parent

FLOORS = {
    "errors": 0,
    "records": 0,
    "spreadsheets": 0,
    "config": 1,
    "filters": 1,
    "links": 1,
    "images": 1,
    "schema": 0,
    "database": 1,
    "embeddings": 1,
    "files": 1,
    "metrics": 1,
    "originals": 1,
    "tables": 1,
    "remote_files": 1,
    "sources": 2,
    "shards": 2,
    "fleet": 3,
    "imported": 2,
    "encoders": 2,
    "batching": 3,
    "indexes": 2,
    "catalog": 2,
    "feedback": 2,
    "collections_store": 3,
    "telemetry": 2,
    "thumbnails": 2,
    "uploads": 2,
    "heads": 2,
    "spaces": 2,
    "generations": 3,
    "tuning": 3,
    "shared_index": 3,
    "replicas": 3,
    "alignment": 1,
    "diversity": 1,
    "duplicates": 3,
    "rules": 3,
    "learning": 1,
    "composition": 1,
    "reranking": 3,
    "looks": 1,
    "oklab": 1,
    "saliency": 1,
    "look_store": 2,
    "title_store": 2,
    "query_words": 1,
    "spelling": 1,
    "word_help": 3,
    "titles": 3,
    "look_filling": 3,
    "training_pairs": 3,
    "adaptation": 3,
    "indexing": 3,
    "search": 3,
    "verification": 3,
    "qrels": 3,
    "agreement": 3,
    "pools": 3,
    "judging": 3,
    "judgment_files": 3,
    "confidence": 3,
    "cluster_words": 3,
    "clusters": 1,
    "explore": 3,
    "map_worker": 1,
    "memory": 1,
    "projection": 1,
    "calibration": 3,
    "evaluation": 3,
    "comparison": 3,
    "jobs": 1,
    "robustness": 3,
    "reports": 3,
    "report_html": 3,
    "report_files": 3,
    "ground_truth": 3,
    "quality": 3,
    "sample_store": 3,
    "systems": 3,
    "side_by_side": 3,
    "monitoring": 3,
    "drift": 3,
    "retention": 3,
    "experiments": 3,
    "statistics": 1,
    "outcomes": 3,
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
}
"""The floor of every module or subpackage: each imports only from its own floor and those below."""

OWNERS = {
    "torch": {"encoders", "learning"},
    "open_clip": {"encoders"},
    "timm": {"encoders"},
    "usearch": {"indexes"},
    "numkong": {"indexes"},
    "faiss": {"indexes"},
    "pymilvus": {"indexes"},
    "ray": {"fleet"},
    "fsspec": {"remote_files"},
    "onnx": {"encoders"},
    "onnxruntime": {"encoders"},
    "duckdb": {"database"},
    "PIL": {"images", "encoders", "service", "robustness", "looks", "saliency"},
    "pillow_heif": {"images"},
    "httpx2": {"originals", "replicas"},
    "filelock": {"database"},
    "ir_measures": {"evaluation"},
    "typer": {"cli", "terminal", "commands"},
    "starlette": {"api", "asgi"},
    "streamlit": {"ui", "asgi"},
    "altair": {"ui"},
    "scipy": {
        *(
            "statistics",
            "drift",
            "robustness",
            "alignment",
            "duplicates",
            "looks",
            "saliency",
            "clusters",
            "projection",
        ),
    },
    "umap": {"map_worker"},
    "rapidfuzz": {"spelling"},
}
"""Which parts of the house may import a third-party library while the program runs (type checking aside)."""


def part_of(path: Path) -> str:
    """Return the module or subpackage that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


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
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text(encoding="utf-8")))
    return names


@pytest.mark.parametrize("path", files(), ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_downward(path: Path) -> None:
    own = part_of(path)
    assert own in FLOORS, f"{own} has no floor yet: give it one in this test"
    for name in imported(path):
        parts = name.split(".")
        # `Filter.__str__` reaches up one floor, when it is called, to the grammar that owns its text.
        if parts[0] == "imgsearch" and len(parts) > 1 and (own, parts[1]) != ("records", "filters"):
            assert FLOORS[parts[1]] <= FLOORS[own], f"{own} imports {name} from a floor above"


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
    assert not loaded_by("import imgsearch.asgi") & {f"scipy.{part}" for part in parts}, (
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
    from imgsearch import errors

    classes = [getattr(errors, name) for name in errors.__all__]
    assert len({error.code for error in classes}) == len(classes)
    assert all(issubclass(error, errors.ImgSearchError) for error in classes)
    assert errors.__doc__ is not None
    for error in classes:
        assert error.__name__ in errors.__doc__


def test_library_code_neither_prints_nor_exits() -> None:
    for path in files():
        # The map's worker is a process of its own.
        if part_of(path) in ("cli", "commands", "terminal", "map_worker", "__main__"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit"):
                raise AssertionError(f"{path.name}:{node.lineno} exits")


def test_the_package_says_that_it_is_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert imgsearch.__version__.count(".") == 2
