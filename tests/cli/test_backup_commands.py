"""`imgsearch backup` and `restore` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

from commands import run_in_process


def test_a_backup_is_listed_and_restores_to_a_sound_catalog(lite_catalog: Path, tmp_path: Path) -> None:
    catalog, backup, restored = str(lite_catalog), str(tmp_path / "backup"), str(tmp_path / "restored")
    made = run_in_process(["backup", backup, "--catalog", catalog, "--json"])
    assert made.returncode == 0, made.stderr
    items = json.loads(made.stdout)["items"]
    listed = run_in_process(["backup", backup, "--list", "--json"])
    assert [each["name"] for each in json.loads(listed.stdout)] == [json.loads(made.stdout)["name"]]
    done = run_in_process(["restore", backup, "--catalog", restored, "--json"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["problems"] == []
    assert json.loads(done.stdout)["items"] == items
    assert run_in_process(["verify", "--catalog", restored]).returncode == 0


def test_a_restore_never_overwrites_a_catalog(lite_catalog: Path, tmp_path: Path) -> None:
    backup = str(tmp_path / "backup")
    run_in_process(["backup", backup, "--catalog", str(lite_catalog)])
    refused = run_in_process(["restore", backup, "--catalog", str(lite_catalog)])
    assert refused.returncode == 1
    assert "holds files already" in refused.stderr
    assert run_in_process(["verify", "--catalog", str(lite_catalog)]).returncode == 0
