"""Every request of the guide "Live catalog" is answered as it says."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest
from api_server import served
from photos import draw_photo

from imgsearch.app.api.routes import create_api
from imgsearch.app.service import SearchService
from imgsearch.core.config import Settings

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "live-catalog.md").read_text(encoding="utf-8")
REQUESTS = [
    line.removeprefix("$ ")
    for block in re.findall(r"```console\n(.*?)```", GUIDE, re.S)
    for line in block.splitlines()
]


@pytest.fixture(scope="module")
def shared_service_settings(shared_service_settings: Settings) -> Settings:
    return shared_service_settings.model_copy(update={"local_only": True, "find_duplicates": False})


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
def test_requests_of_the_guide_are_answered(
    shared_service: SearchService, shared_service_settings: Settings, tmp_path: Path
) -> None:
    draw_photo("mug", "red", variant=9).save(tmp_path / "mug.jpg")
    lines = re.findall(r'^{"item_id": "mugs/1[78]", .*}$', GUIDE, re.M)
    (tmp_path / "prices.jsonl").write_text("\n".join(line for line in lines if '"line"' not in line))
    assert len(REQUESTS) >= 10
    with served(create_api(lambda: shared_service, shared_service_settings)) as port:
        for request in REQUESTS:
            command = shlex.split(request.replace(":8501/", f":{port}/"))
            done = subprocess.run(
                [*command, "--silent", "--show-error", "--fail-with-body", "--globoff"],
                cwd=tmp_path,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{request}\n{done.stdout}\n{done.stderr}"
            assert done.stdout.startswith("{"), request
