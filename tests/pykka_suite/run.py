"""Runs the process cases of pykka's own test-suite: `python tests/pykka_suite/run.py [pytest arguments]`.

It has pip download the source archive of the installed pykka into a temporary folder, and runs the suite there with the
plugin beside this file, which makes `ProcessActor` the runtime. Of pykka's suite nothing is kept here, and nothing
of it is changed. Exit status 0 says that every case passed that is not in `expected_failures.py`.
"""

from __future__ import annotations

import importlib.metadata
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

SECONDS_A_TEST = 30


def main(arguments: list[str]) -> int:
    """Download, unpack, run; return pytest's exit status."""
    with tempfile.TemporaryDirectory(prefix="pykka-suite-") as folder:
        suite = unpack(download(Path(folder)))
        environ = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), str(suite)]),
            "TMPDIR": folder,  # where the plugin's events and futures have their files
        }
        command = [sys.executable, "-m", "pytest", "tests", "-q", "-rxX", "--tb=short", "-p", "process_runtime"]
        command += ["-p", "no:cacheprovider", f"--timeout={SECONDS_A_TEST}", *arguments]
        return subprocess.run(command, cwd=suite, env=environ, check=False).returncode


def download(folder: Path) -> Path:
    """Return the source archive of the pykka that is installed."""
    version = importlib.metadata.version("pykka")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", "pykka"]
    if subprocess.run([*command, f"pykka=={version}"], cwd=folder, check=False).returncode:
        sys.exit(f"pip could not download the source archive of pykka {version}; it says above why.")
    return folder / f"pykka-{version}.tar.gz"


def unpack(archive: Path) -> Path:
    """Return the folder that an archive holds, unpacked beside it."""
    with tarfile.open(archive) as opened:
        opened.extractall(archive.parent, filter="data")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
