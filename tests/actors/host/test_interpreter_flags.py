"""The flags of the host's interpreter are those of its processes, as `multiprocessing` has it with `spawn`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from first_forms import first_always

PATIENCE = 60.0

PROGRAM = """
import json, sys

sys.path[:0] = json.loads(sys.argv[1])  # what an interpreter that ignores its environment does not know
from interpreters import Interpreter, interpreter, put
from subactors.actors import get_context

if __name__ == "__main__":
    if "set" in sys.argv:
        sys.dont_write_bytecode = True
    context = get_context()
    queue = context.SimpleQueue()
    process = context.Process(target=put, args=(queue,))
    process.start()
    actor = Interpreter.start()
    print(json.dumps([interpreter(), queue.get(), actor.ask(None)]))
    process.join()
    actor.stop()
"""


@first_always(
    "flags",
    [
        [],
        ["-O"],
        ["-OO", "-B"],
        ["-X", "utf8", "-W", "error::SyntaxWarning", "-W", "ignore:a word:UserWarning"],
        ["-X", "dev"],
        ["-bb", "-s"],
        ["-P"],
        ["-E"],
        ["-I"],
        ["set"],
    ],
    keep=2,
    ids=" ".join,
)
def test_a_process_has_the_flags_of_its_hosts_interpreter(tmp_path: Path, flags: list[str]) -> None:
    script = tmp_path / "host.py"
    script.write_text(PROGRAM)
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    arguments = [str(script), json.dumps([str(Path(__file__).parents[2] / "kit"), *filter(None, sys.path)])]
    if flags == ["set"]:
        arguments, flags = [*arguments, *flags], []
    done = subprocess.run(
        [sys.executable, *flags, *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )

    assert (done.returncode, done.stderr) == (0, "")
    host, plain, actor = json.loads(done.stdout)
    assert plain == host
    assert actor == host


def test_nothing_in_the_current_directory_stands_in_for_a_module_of_the_zygote(tmp_path: Path) -> None:
    for name in ("subactors", "msgspec", "pykka", "posix"):
        (tmp_path / f"{name}.py").write_text("print('of the current directory', flush=True)")
    script = tmp_path / "elsewhere" / "host.py"
    script.parent.mkdir()
    script.write_text(PROGRAM)
    arguments = [str(script), json.dumps([str(Path(__file__).parents[2] / "kit"), *filter(None, sys.path)])]
    done = subprocess.run(
        [sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert "current directory" not in done.stdout
