"""The command line as a real process."""

from __future__ import annotations

import subprocess
import sys


def run_cli(*args: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own; it must exit with `code`, and never with a traceback."""
    command = [sys.executable, "-W", "ignore", "-m", "josiecodec_cli.main", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def run(*args: object, code: int = 0) -> str:
    """What the command line says: on standard output, or, if it is to fail, on standard error."""
    done = run_cli(*args, code=code)
    return done.stderr if code else done.stdout
