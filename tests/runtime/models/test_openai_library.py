"""The library `openai` without the modules of its types: they come whole when somebody looks at one."""

from __future__ import annotations

import subprocess
import sys

import pytest

HERE = "from subactors.runtime.models.openai.library import openai\n"

NAMES = """
import importlib
for package in ("types", "types.chat", "types.responses", "types.shared"):
    module = importlib.import_module("openai." + package)
    getattr(module, "__all__", None)
    print(package, sorted(name for name in vars(module) if name != "__all__"), type(module))
"""


def run(program: str) -> str:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.stderr == ""
    return done.stdout


def test_what_nobody_looks_at_is_not_imported() -> None:
    program = """
import sys, subactors.runtime.models.openai.warm_up
print(sys.modules.keys() & {"openai.types.batch", "openai.types.responses.response", "trio", "trio.lowlevel"})
"""
    assert run(program) == "set()\n"


def test_what_runs_under_trio_finds_it() -> None:
    program = (
        HERE
        + """
import asyncio, httpcore2, sys, threading, trio
from http.server import BaseHTTPRequestHandler, HTTPServer

assert trio is sys.modules["trio"]

class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(204)
        self.end_headers()
    def log_request(self, *_):
        pass

async def ask(server):
    async with httpcore2.AsyncConnectionPool() as pool:
        return (await pool.request("GET", f"http://127.0.0.1:{server.server_port}/")).status

with HTTPServer(("127.0.0.1", 0), Answers) as server:
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(trio.run(ask, server), asyncio.run(ask(server)))
    server.shutdown()
"""
    )
    assert run(program) == "204 204\n"


def test_who_looks_finds_what_is_there_without_us() -> None:
    assert run(HERE + NAMES) == run("import openai\n" + NAMES)


@pytest.mark.parametrize(
    "look",
    [
        "openai.types.chat.ChatCompletion.__name__",
        "__import__('openai.types.chat').types.chat.ChatCompletion.__name__",
        "__import__('openai.types.chat.chat_completion') and openai.types.chat.chat_completion.ChatCompletion.__name__",
    ],
)
def test_a_type_is_found_wherever_it_is_looked_for(look: str) -> None:
    assert run(f"{HERE}print({look})") == "ChatCompletion\n"


def test_threads_that_look_at_the_same_time_all_find() -> None:
    program = """
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
barrier = Barrier(6)
def look(place):
    barrier.wait()
    package, name = place
    return getattr(package, name).__name__
types = openai.types
places = [(types, "Batch"), (types.chat, "ChatCompletion"), (types.responses, "Response"), (types.shared, "Reasoning")]
with ThreadPoolExecutor(6) as pool:
    print(*pool.map(look, [*places, (types, "Model"), (types.responses, "Tool")][:5] + [(types, "Image")]))
"""
    assert run(HERE + program) == "Batch ChatCompletion Response Reasoning Model Image\n"


def test_a_look_that_fails_may_be_repeated() -> None:
    program = """
import sys
sys.modules["openai.types.batch"] = None
for _ in range(2):
    try:
        openai.types.Batch
    except ImportError as error:
        print(error.name)
del sys.modules["openai.types.batch"]
print(openai.types.Batch.__name__)
try:
    openai.types.Butch
except AttributeError as error:
    print(error)
"""
    missing = "module 'openai.types' has no attribute 'Butch'"
    assert run(HERE + program) == f"openai.types.batch\nopenai.types.batch\nBatch\n{missing}\n"
