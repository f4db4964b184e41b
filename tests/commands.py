"""Run the `imgsearch` command in this process, to avoid repeated imports."""

from __future__ import annotations

import contextlib
import os
import runpy
import subprocess
import sys
import tempfile


def run_in_process(arguments: list[str]) -> subprocess.CompletedProcess[str]:
    """Return a command's exit code and its output on file descriptors 1 and 2."""
    code: object = 0
    argv, saved = sys.argv, (os.dup(1), os.dup(2))
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        os.dup2(output.fileno(), 1)
        os.dup2(errors.fileno(), 2)
        try:
            with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
                sys.argv = ["imgsearch", *arguments]
                runpy.run_module("imgsearch", run_name="__main__", alter_sys=True)
        except SystemExit as end:
            code = end.code or 0
        finally:
            sys.argv = argv
            output.flush()
            errors.flush()
            for descriptor, original in enumerate(saved, start=1):
                os.dup2(original, descriptor)
                os.close(original)
        assert isinstance(code, int), code
        texts = []
        for file in (output, errors):
            file.seek(0)
            texts.append(file.read())
    return subprocess.CompletedProcess(["imgsearch", *arguments], code, *texts)
