"""The documentation site builds, works offline, and covers every setting, command and route."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs"))

import reference_pages

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the built site; a warning fails the build."""
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", "html", "-d", str(out / "trees")]
    done = subprocess.run(
        [*command, str(ROOT / "docs"), str(out / "html")], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return out / "html"


def test_the_site_loads_nothing_from_other_servers(site: Path) -> None:
    for page in site.rglob("*.html"):
        text = page.read_text(encoding="utf-8")
        loaded = re.findall(r"<(?:script|img|iframe)[^>]+src=\"([^\"]+)\"", text)
        loaded += re.findall(r"<link[^>]+rel=\"(?:stylesheet|preload|icon)\"[^>]+href=\"([^\"]+)\"", text)
        assert [each for each in loaded if each.startswith(("http", "//"))] == [], page.name


def test_every_command_and_option_is_described(site: Path) -> None:
    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    for name, command in reference_pages.commands():
        assert command.help, f"imgsearch {name} has no help"
        assert f"<h2>{name}<" in page
        for option, _, description in reference_pages.parameters(command):
            assert description or option.isupper(), f"imgsearch {name} {option} has no help"


def test_every_setting_is_described(site: Path) -> None:
    page = (site / "reference" / "settings.html").read_text(encoding="utf-8")
    listed = list(reference_pages.settings())
    assert len(listed) >= 20
    for variable, _, description in listed:
        assert description.endswith("."), f"{variable} has no description"
        assert variable in page


def test_every_route_and_parameter_is_described(site: Path) -> None:
    page = (site / "reference" / "http.html").read_text(encoding="utf-8")
    listed = list(reference_pages.routes())
    assert len(listed) >= 20
    for method, path, operation in listed:
        assert operation.get("summary"), f"{method} {path} has no summary"
        assert f"{method} {path}" in re.sub(r"<[^>]+>", "", page)
        for parameter in operation.get("parameters", []):
            assert "$ref" in parameter or parameter.get("description"), f"{method} {path} {parameter['name']}"


def test_links_between_pages_resolve() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    for page in pages:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            if re.match(r"[a-z]+:", target) or "reference/" in target:
                continue
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"


def test_files_named_in_the_architecture_page_exist() -> None:
    files = [path.relative_to(ROOT).as_posix() for path in (ROOT / "imgsearch").rglob("*") if path.is_file()]
    for name in re.findall(
        r"`([\w/]+\.(?:py|js|css|html))`", (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    ):
        assert any(f"/{file}".endswith(f"/{name}") for file in files), f"ARCHITECTURE.md names {name}"
