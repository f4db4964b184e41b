"""The package's structure: sizes of functions and classes, owners of libraries, late imports, public names.

The order of the folders and the absence of circles are checked by `lint-imports` (see pyproject.toml).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import imgsearch

PACKAGE = Path(imgsearch.__file__).parent
TESTS = Path(__file__).resolve().parents[1]
FILES = sorted(PACKAGE.rglob("*.py"))

MAX_FUNCTION_LINES = 60
MAX_CLASS_LINES = 300
MAX_FOLDERS = 14

OWNERS = {
    "torch": {"improve.adaptation", "encoders"},
    "open_clip": {"encoders"},
    "timm": {"encoders"},
    "usearch": {"index"},
    "numkong": {"index"},
    "faiss": {"index"},
    "pymilvus": {"index"},
    "ray": {"ingest.distributed"},
    "fsspec": {"store.remote_files"},
    "onnx": {"encoders"},
    "onnxruntime": {"encoders"},
    "duckdb": {"store.database"},
    "pillow_heif": {"vision.images"},
    "filelock": {"store.database", "store.backup"},
    "ir_measures": {"improve.quality"},
    "typer": {"cli"},
    "watchfiles": {"cli.syncing"},
    "fastapi": {"app.api"},
    "starlette": {"app"},
    "streamlit": {"app.asgi", "ui"},
    "altair": {"ui"},
    "umap": {"explore"},
    "rapidfuzz": {"search.words"},
    "pathspec": {"ingest.exclusions"},
    "platformdirs": {"core.config"},
    "pydantic_settings": {"core.config"},
    "openpyxl": {"ingest.tables"},
    "defusedxml": {"ingest.tables"},
    "charset_normalizer": {"ingest.tables"},
    "prometheus_client": {"improve.monitoring", "app.api"},
}
"""Which modules may import a third-party library while the program runs (type checking aside)."""


def dotted(path: Path) -> str:
    """Return a file's module name below the package."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> Iterator[str]:
    """Yield the names of the modules that a file imports at run time, at its top or inside functions."""

    def visit(node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
        for child in ast.iter_child_nodes(node):
            yield from visit(child)

    return visit(parsed(path))


@pytest.mark.parametrize("path", FILES, ids=dotted)
def test_a_third_party_library_is_imported_only_by_its_owner(path: Path) -> None:
    for name in imported(path):
        owners = OWNERS.get(name.split(".")[0])
        assert owners is None or any(f"{dotted(path)}.".startswith(f"{owner}.") for owner in owners), (
            f"{dotted(path)} imports {name}"
        )


def test_functions_have_at_most_60_lines() -> None:
    long = [
        f"{dotted(path)}.{node.name}: {length(node)} lines"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and length(node) > MAX_FUNCTION_LINES
    ]
    assert long == []


def test_classes_have_at_most_300_lines() -> None:
    long = [
        f"{dotted(path)}.{node.name}: {length(node)} lines"
        for path in FILES
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.ClassDef) and length(node) > MAX_CLASS_LINES
    ]
    assert long == []


def length(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def test_the_top_level_has_few_folders() -> None:
    folders = [path for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"]
    assert len(folders) <= MAX_FOLDERS


def test_no_module_reads_a_private_attribute_of_another_object() -> None:
    found = [
        f"{path.relative_to(PACKAGE.parent)}:{line} {text}"
        for path in FILES
        for line, text in private_reads(path)
    ]
    assert found == []


def test_no_test_reads_a_private_attribute() -> None:
    found = [
        f"{path.relative_to(TESTS)}:{line} {text}"
        for path in sorted(TESTS.rglob("*.py"))
        for line, text in private_reads(path)
    ]
    assert found == []


def private_reads(path: Path) -> Iterator[tuple[int, str]]:
    """Yield where a file reads `x._name` of anything but its own class or an instance of it.

    `other._name` inside a class that defines `_name` itself is its own business (`__eq__`, factories), and so are the
    documented underscore names of namedtuples, of `os` and of IPython.
    """
    tree = parsed(path)
    own = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
    } | {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }  # fmt: skip
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or not node.attr.startswith("_") or node.attr.startswith("__"):
            continue
        if (
            node.attr in ("_replace", "_asdict", "_fields", "_make", "_exit", "_repr_html_")
            or node.attr in own
        ):
            continue
        yield node.lineno, ast.unparse(node)


def loaded_by(statement: str) -> set[str]:
    script = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    return set(output.split())


def test_importing_the_package_loads_few_modules() -> None:
    heavy = {"torch", "streamlit", "duckdb", "numpy", "pandas", "PIL", "pydantic"}
    assert not loaded_by("import imgsearch") & heavy


@pytest.mark.parametrize(
    "module",
    [
        "app.service",
        "ingest.indexing",
        "search.searcher",
        "ingest.verification",
        "cli.main",
        "encoders",
        "app.api",
    ],
)
def test_no_module_loads_a_model_library_before_a_model_is_needed(module: str) -> None:
    models = {"torch", "open_clip", "timm", "streamlit", "torchvision"}
    assert not loaded_by(f"import imgsearch.{module}") & models


def test_the_app_starts_without_the_parts_of_scipy() -> None:
    parts = {"special", "linalg", "sparse", "ndimage", "fft", "spatial", "cluster"}
    loaded = loaded_by("import imgsearch.app.asgi")
    assert not loaded & {f"scipy.{part}" for part in parts}, "they take a third of a second"


def test_the_public_names_of_every_module_exist() -> None:
    for path in FILES:
        if "__all__" not in path.read_text(encoding="utf-8") or path.name == "__main__.py":
            continue
        name = f"imgsearch.{dotted(path)}".removesuffix(".__init__")
        if name.startswith("imgsearch.ui"):
            continue  # Importing a page runs it.
        module = __import__(name, fromlist=["__all__"])
        for public in module.__all__:
            assert hasattr(module, public), f"{name}.__all__ names {public}"


def test_no_two_public_classes_have_the_same_name() -> None:
    seen: dict[str, str] = {}
    for path in FILES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                assert node.name not in seen, f"{node.name} in {dotted(path)} and {seen[node.name]}"
                seen[node.name] = dotted(path)


def test_every_error_has_a_unique_code_and_description() -> None:
    from imgsearch.core import errors

    classes = [each for each in vars(errors).values() if isinstance(each, type)]
    assert len(classes) >= 25
    assert len({error.code for error in classes}) == len(classes)
    assert all(issubclass(error, errors.ImgSearchError) for error in classes)
    assert all(error.__doc__ for error in classes)


def test_library_code_neither_prints_nor_exits() -> None:
    for path in FILES:
        # The map's worker is a separate process.
        if dotted(path).startswith(("cli.", "explore.worker", "__main__")):
            continue
        for node in ast.walk(parsed(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in ("print", "exit", "quit"), f"{dotted(path)}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in ("sys.exit", "os._exit"):
                raise AssertionError(f"{dotted(path)}:{node.lineno} exits")


def test_the_package_is_marked_as_typed() -> None:
    assert (PACKAGE / "py.typed").is_file()
    assert imgsearch.__version__.count(".") == 2
