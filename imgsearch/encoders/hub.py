"""Pretrained weights of open_clip: finds them in the local cache, or downloads them from their server.

huggingface_hub does the work and honours `HF_HUB_OFFLINE`, `HF_HOME` and the like.
"""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import huggingface_hub
from huggingface_hub import constants

from imgsearch.core.errors import EncoderError, EncoderUnavailable
from imgsearch.encoders.spec import EncoderSpec

_URL_CACHE = "~/.cache/clip"  # open_clip's cache of weights that are not on the hub


def tag_config(spec: EncoderSpec) -> dict[str, Any]:
    """Return open_clip's entry for a model and tag: the source of the weights, and the preprocessing.

    Raises `EncoderError` for a model or tag that the installed open_clip does not know.
    """
    import open_clip

    if spec.model not in open_clip.list_models():
        raise EncoderError(f"open_clip has no model {spec.model!r}: see open_clip.list_models().")
    config: dict[str, Any] = open_clip.get_pretrained_cfg(spec.model, spec.tag)
    if not config:
        tags = ", ".join(open_clip.list_pretrained_tags_by_model(spec.model)) or "none"
        raise EncoderError(f"open_clip has no weights {spec.tag!r} for {spec.model}: it has {tags}.")
    return config


def find_weights(spec: EncoderSpec) -> Path | None:
    """Return the cached weights file of a model and tag, or None; without network access."""
    config = tag_config(spec)
    if repository := config.get("hf_hub"):
        for name in _file_names(repository):
            found = huggingface_hub.try_to_load_from_cache(_repository_id(repository), name)
            if isinstance(found, str):
                return Path(found)
        return None
    cached = Path(_URL_CACHE).expanduser() / PurePosixPath(config["url"]).name
    return cached if cached.is_file() else None


def download_obstacle(spec: EncoderSpec, timeout_s: float) -> str | None:
    """Return why the weights cannot be downloaded now, as a clause, or None where their server answers in time."""
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set"
    config = tag_config(spec)
    if repository := config.get("hf_hub"):
        address = huggingface_hub.hf_hub_url(_repository_id(repository), _file_names(repository)[-1])
        server = "the hub"

        def request() -> object:
            return huggingface_hub.get_hf_file_metadata(address, timeout=timeout_s)
    else:
        head = urllib.request.Request(config["url"], method="HEAD")  # noqa: S310  # open_clip's own https list
        server = "its server"

        def request() -> object:
            with urllib.request.urlopen(head, timeout=timeout_s) as answer:  # noqa: S310
                return answer.status

    return failure_within(request, server, timeout_s)


def download_weights(spec: EncoderSpec, progress: Callable[[str], None], timeout_s: float) -> Path:
    """Download a model's weights, with bars on stderr, and return their file.

    Raises `EncoderUnavailable` where the server does not answer within `timeout_s` or the download fails.
    """
    obstacle = download_obstacle(spec, timeout_s)
    if obstacle is None:
        import open_clip

        progress(f"Downloading the weights of {spec}: this happens once.")
        try:
            return Path(open_clip.download_pretrained(tag_config(spec)))
        except Exception as error:  # huggingface_hub, its transports and the file system have no common error
            obstacle = f"the download failed ({' '.join(str(error).split())[:200]})"
    raise EncoderUnavailable(
        f"The weights of {spec} are not in the local cache and {obstacle}: "
        "use '--encoder lite', which needs no download, or try again with a network."
    )


def _repository_id(hf_hub: str) -> str:
    return hf_hub.rpartition("/")[0]


def _file_names(hf_hub: str) -> list[str]:
    """Return the weight files that open_clip looks for, in its order; the last one always exists on the hub."""
    from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

    name = hf_hub.rpartition("/")[2]
    if not name:
        return [HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME]
    safe = PurePosixPath(name).with_suffix(".safetensors").name
    return [safe, name] if name.endswith((".bin", ".pth")) else [name]


def failure_within(request: Callable[[], object], server: str, timeout_s: float) -> str | None:
    """Return None if `request` succeeds within `timeout_s`, else a clause that says why not.

    It runs in a thread, because a socket's timeout covers neither the name lookup before it nor retries.
    """
    outcome: list[str | None] = []

    def run() -> None:
        try:
            request()
            outcome.append(None)
        except Exception as error:  # for the caller, all failures are the same
            outcome.append(f"{server} cannot be reached ({' '.join(str(error).split())[:120]})")

    thread = threading.Thread(target=run, daemon=True, name="hub-probe")
    thread.start()
    thread.join(timeout_s)
    return outcome[0] if outcome else f"{server} did not answer within {timeout_s:g} s"
