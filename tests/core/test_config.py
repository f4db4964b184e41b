"""Settings: arguments override the environment, which overrides defaults; errors name the setting."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from imgsearch.core.config import Settings, cpu_count, user_cache_dir, user_data_dir
from imgsearch.core.errors import ConfigError


def test_arguments_win_over_the_environment_and_that_over_the_defaults() -> None:
    environ = {"IMGSEARCH_PORT": "9000", "IMGSEARCH_TITLE": "Shop", "IMGSEARCH_CATALOG": "/from/environ"}
    settings = Settings.load(environ, port=9001, catalog=None)
    assert (settings.port, settings.title, settings.catalog) == (9001, "Shop", Path("/from/environ"))
    assert settings.host == Settings.load({}).host == "127.0.0.1"


@pytest.mark.parametrize(("text", "value"), [("1", True), ("TRUE", True), ("off", False), ("no", False)])
def test_switches_accept_common_spellings(text: str, value: bool) -> None:
    assert Settings.load({"IMGSEARCH_FEEDBACK": text}).feedback is value


@pytest.mark.parametrize(
    ("name", "text"),
    [("PORT", "http"), ("PORT", "70000"), ("PORT", "-1"), ("FEEDBACK", "maybe"), ("THREADS", "-2"),
     ("MAX_PIXELS", "1"), ("MAX_RESULTS", "0"), ("MAX_UPLOAD_BYTES", "1.5"), ("REPLICA_OF", "writer:80")],
)  # fmt: skip
def test_an_invalid_value_is_refused_by_name(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=rf"^IMGSEARCH_{name} is '{text}', but must be [^.]*\.$"):
        Settings.load({f"IMGSEARCH_{name}": text})
    with pytest.raises(ConfigError, match=f"^{name.lower()} is"):
        Settings.load({f"IMGSEARCH_{name}": "1"}, **{name.lower(): text})


def test_only_load_reads_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMGSEARCH_PORT", "9000")
    assert Settings.load().port == 9000
    assert Settings.load({}).port == Settings().port == 8501


def test_an_unknown_argument_is_refused_and_an_empty_variable_is_none() -> None:
    with pytest.raises(ConfigError, match="colour"):
        Settings.load({}, colour="red")
    assert Settings.load({"IMGSEARCH_PORT": ""}).port == 8501


def test_a_tilde_is_the_home_folder() -> None:
    assert Settings.load({"IMGSEARCH_CATALOG": "~/shop"}).catalog == Path.home() / "shop"


@pytest.mark.skipif(sys.platform != "linux", reason="the folders of Linux")
def test_the_default_folders_are_those_of_this_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert Settings.load({}).catalog == tmp_path / "data" / "imgsearch" / "catalog"
    assert user_cache_dir() == tmp_path / "cache" / "imgsearch"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert user_data_dir() == Path.home() / ".local" / "share" / "imgsearch"
    assert user_cache_dir() == Path.home() / ".cache" / "imgsearch"


def test_threads_default_to_the_cpus_of_this_process() -> None:
    assert Settings.load({}, threads=3).worker_threads == 3
    assert Settings.load({}).worker_threads == cpu_count() >= 1


def test_settings_are_frozen_and_every_field_is_described() -> None:
    settings = Settings.load({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.port = 1
    assert all(field.description for field in Settings.model_fields.values())
