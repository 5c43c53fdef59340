"""Nothing in the package writes to standard output or error but `runtime/terminal/streams`: read in the source."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from pathlib import Path

import subactors.actors
import subactors.runtime
from sources import parsed

ROOTS = [Path(package.__file__ or "").parent for package in (subactors.actors, subactors.runtime)]

ALLOWED = {
    "runtime/terminal/streams.py": "the one way",
    "runtime/child/speech.py": "in a task's process, where what is printed is the task's output",
    "runtime/child/rehearsal.py": "in a process that stands by, the same",
    "runtime/bench/peers.py": "in a program of its own, where what functions print is thrown away",
    "runtime/testing.py": "sub-agents that misbehave on purpose, in processes of their own",
    "runtime/toolsets/filesystem/search_program.py": "a program of its own, which a pipe is read from",
    "actors/child/channel.py": "in an actor's process, whose standard error is its log",
    "actors/child/life.py": "in an actor's process, the same",
    "actors/zygote/__main__.py": "in an actor's process, the same",
    "actors/zygote/setup.py": "sets up the streams that children inherit",
    "actors/wire/objects.py": "knows them among what is pickled, and writes nothing",
    "actors/linux/kernel.py": "silences the zygote, and leaves nothing in its streams",
}

STREAMS = {"stdout", "stderr", "__stdout__", "__stderr__"}
PRINTERS = {"echo", "secho", "echo_via_pager", "print_exc", "print_exception", "show"}

WORDS = r"print|stdout|stderr|echo|show|os\.write|Console"
"""Without one of them nothing writes."""


def _writes(nodes: Iterable[ast.AST]) -> Iterator[str]:
    for node in nodes:
        match node:
            case ast.Call(func=ast.Name("print")):
                yield f"line {node.lineno}: print"
            case ast.Attribute(value=ast.Name("sys"), attr=name) if name in STREAMS:
                yield f"line {node.lineno}: sys.{name}"
            case ast.Call(func=ast.Attribute(attr=name)) if name in PRINTERS and not node.keywords:
                yield f"line {node.lineno}: {name}"
            case ast.Call(func=ast.Attribute(ast.Name("os"), "write"), args=[ast.Constant(1 | 2), *_]):
                yield f"line {node.lineno}: os.write"
            case ast.Call(func=ast.Name("Console"), args=[], keywords=keywords):
                if not any(keyword.arg == "file" for keyword in keywords):
                    yield f"line {node.lineno}: a console of rich's own"
            case ast.ImportFrom(module="sys", names=names) if STREAMS & {name.name for name in names}:
                yield f"line {node.lineno}: imports a stream"
            case _:
                pass


def test_no_other_module_prints() -> None:
    found = {
        name: writes
        for root in ROOTS
        for path, nodes in parsed(root, words=WORDS)
        if (name := path.relative_to(root.parent).as_posix()) not in ALLOWED and (writes := list(_writes(nodes)))
    }
    assert found == {}


def test_the_exceptions_are_still_there() -> None:
    assert [name for name in ALLOWED if not any((root.parent / name).is_file() for root in ROOTS)] == []
