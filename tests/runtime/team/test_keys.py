"""Who has the keys: no zygote, no program that a tool starts, and of the tasks only those that need them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from first_forms import first_always
from model_server import Calls, ModelServer, Status, Text
from processes_and_waits import descendants_of
from subactors.actors.fence import offer
from subactors.actors.host.beginning import encoded
from subactors.runtime import Runtime
from subactors.runtime.team.key_variables import Keys
from subactors.runtime.teamfile.load import override_model, team_from_mapping
from teams import call, run_and_wait, speaking

SECRETS = {
    "OPENAI_API_KEY": "sk-of-openai-4711",
    "GEMINI_API_KEY": "sk-of-gemini-4712",
    "HOUSE_KEY": "sk-of-the-house-4713",
    "UNUSED_KEY": "sk-of-nobody-4714",
    "TRACKER": "tr-of-the-header-4715",
    "DATABASE_PASSWORD": "pw-of-the-server-4716",
}
NAMES = " ".join(SECRETS)
SCRIPT = str(Path(__file__).parents[2] / "kit" / "mcp_server_stdio.py")
SAYS_ALL = "env | grep -o '^[A-Z_]*' | sort | tr '\\n' ' '"


def team(**agents: Any) -> dict[str, Any]:
    return {
        "models": {
            "house": {"provider": "vllm", "model": "m", "base_url": "${env.HOUSE}", "token_key": "HOUSE_KEY"},
            "unused": {"provider": "vllm", "model": "m", "base_url": "http://unused/v1", "token_key": "UNUSED_KEY"},
        },
        "mcps": {
            "tracker": {"remote": {"url": "http://127.0.0.1:9/mcp", "headers": {"X-Tracker": "${env.TRACKER}"}}},
            "database": {"command": sys.executable, "args": [SCRIPT], "env": {"PASSWORD": "$DATABASE_PASSWORD"}},
        },
        "agents": {
            "holder": {"entrypoint": "key_entrypoints:holds"},
            "without": {"entrypoint": "key_entrypoints:holds", "keys": False},
            "function": {"model": "python/key_entrypoints:holds_as_a_model"},
            "function_without": {"model": "python/key_entrypoints:holds_as_a_model", "keys": False},
            "quoter": {"entrypoint": "key_entrypoints:quotes"},
            "waiter": {"entrypoint": "key_entrypoints:waits"},
            "nested": {"entrypoint": "key_entrypoints:runs_a_host"},
            "nested_without": {"entrypoint": "key_entrypoints:runs_a_host", "keys": False},
            **{name: {"model": "python/key_entrypoints:answers", **agent} for name, agent in agents.items()},
        },
    }


TOOLS = {
    "shell": {"toolsets": [{"type": "shell"}]},
    "named": {
        "toolsets": [{"type": "shell", "env": {"MINE": "$HOUSE_KEY", "GEMINI_API_KEY": "${env.GEMINI_API_KEY}"}}]
    },
    "named_without": {"keys": False, "toolsets": [{"type": "shell", "env": {"MINE": "$HOUSE_KEY"}}]},
    "script": {"toolsets": [{"type": "script", "shell": {"say": {"cmd": SAYS_ALL}}}]},
    "named_script": {
        "toolsets": [{"type": "script", "shell": {"say": {"cmd": SAYS_ALL, "env": {"TRACKER": "$TRACKER"}}}}]
    },
    "search": {"toolsets": [{"type": "filesystem"}]},
    "mcp": {"toolsets": [{"type": "mcp", "command": sys.executable, "args": [SCRIPT]}]},
    "database": {"toolsets": [{"type": "mcp", "ref": "database"}]},
}


@pytest.fixture(scope="module")
def _environment() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        patch.setenv("HOUSE", "http://127.0.0.1:9/v1")
        yield


@pytest.fixture(scope="module")
def runtime(_environment: None) -> Iterator[Runtime]:
    with Runtime.from_mapping(team(**TOOLS), standby=0, max_tasks=1000) as runtime:
        run_and_wait(runtime, "holder", "warm up")
        yield runtime


def held(runtime: Runtime, agent: str) -> dict[str, Any]:
    view = run_and_wait(runtime, agent, NAMES)
    assert view.status == "completed", view.reason
    result: dict[str, Any] = json.loads(view.result) if isinstance(view.result, str) else view.result
    return result


def said(runtime: Runtime, agent: str, tool: str, **arguments: Any) -> str:
    view = run_and_wait(runtime, agent, f"{tool} {json.dumps(arguments)}")
    assert view.status == "completed", view.reason
    return str(view.result)


def test_no_process_of_a_runtime_was_started_with_a_key(runtime: Runtime) -> None:
    task = speaking(runtime, "waiter")
    environs = [Path(f"/proc/{process.pid}/environ").read_bytes() for process in descendants_of(os.getpid())]
    runtime.stop(task)
    assert len(environs) >= 3  # the zygote, the task, its program
    assert [name for name in SECRETS for environ in environs if SECRETS[name].encode() in environ] == []


def test_the_memory_of_the_zygote_holds_no_key(runtime: Runtime) -> None:
    zygote = runtime.view(speaking(runtime, "waiter"))
    assert zygote.pid is not None
    parent = int(Path(f"/proc/{zygote.pid}/stat").read_text().rpartition(")")[2].split()[1])
    found = set()
    with open(f"/proc/{parent}/mem", "rb", buffering=0) as memory:  # noqa: PTH123 - as it is done
        for line in Path(f"/proc/{parent}/maps").read_text().splitlines():
            place, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            begin, end = (int(part, 16) for part in place.split("-"))
            memory.seek(begin)
            data = memory.read(end - begin)
            found |= {name for name, value in SECRETS.items() if value.encode() in data}
    runtime.stop(zygote.id)
    assert found == set()


@pytest.mark.parametrize("agent", ["holder", "function"])
def test_code_of_the_users_finds_all_keys_in_its_environment_and_nobody_in_proc(runtime: Runtime, agent: str) -> None:
    assert held(runtime, agent) == {"own": SECRETS, "in proc": []}


@pytest.mark.parametrize("agent", ["without", "function_without"])
def test_code_of_the_users_finds_none_where_the_team_file_says_so(runtime: Runtime, agent: str) -> None:
    assert held(runtime, agent) == {"own": {}, "in proc": []}


def test_each_task_is_given_the_keys_of_its_moment(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-another-day-4717")
    monkeypatch.delenv("HOUSE_KEY")
    now = {**SECRETS, "OPENAI_API_KEY": "sk-of-another-day-4717"}
    del now["HOUSE_KEY"]
    assert held(runtime, "holder") == {"own": now, "in proc": []}


def test_a_host_inside_a_task_has_the_keys_and_withholds_them_likewise(runtime: Runtime) -> None:
    # What is the outer team's is no key to the inner one, whose tasks inherit it as anything else.
    assert "OPENAI_API_KEY" in held(runtime, "nested")["own"]
    assert "OPENAI_API_KEY" not in held(runtime, "nested")["in proc"]
    assert held(runtime, "nested_without") == {"own": {}, "in proc": []}


def names_in(text: str) -> set[str]:
    return {name for name in (*SECRETS, "MINE") if name in text.split()}


@pytest.mark.parametrize(
    ("agent", "tool", "passed_on"),
    [
        ("shell", "shell", set()),
        ("named", "shell", {"MINE", "GEMINI_API_KEY"}),
        ("named_without", "shell", {"MINE"}),
        ("script", "say", set()),
        ("named_script", "say", {"TRACKER"}),
    ],
)
def test_a_command_has_those_keys_that_its_toolset_names(
    runtime: Runtime, agent: str, tool: str, passed_on: set[str]
) -> None:
    text = said(runtime, agent, tool, **({"cmd": SAYS_ALL} if tool == "shell" else {}))
    assert "PATH" in text.split()
    assert names_in(text) == passed_on


def test_a_command_that_is_given_a_key_has_its_value(runtime: Runtime) -> None:
    assert said(runtime, "named", "shell", cmd='echo "$MINE"') == SECRETS["HOUSE_KEY"]


@first_always("name", SECRETS, keep=2)
def test_an_mcp_server_has_no_key_that_it_is_not_given(runtime: Runtime, name: str) -> None:
    assert said(runtime, "mcp", "environment", name=name) == "(not set)"
    assert said(runtime, "database", "environment", name=name) == "(not set)"


def test_an_mcp_server_has_what_it_is_given_and_says_it_to_nobody(runtime: Runtime) -> None:
    assert said(runtime, "database", "environment", name="PASSWORD") == "***"


def test_a_loop_of_the_hosts_own_keeps_keys_from_its_commands_too(runtime: Runtime) -> None:
    with runtime.toolset("shell") as toolset:
        assert names_in(call(toolset, "shell", cmd=SAYS_ALL).text) == set()
    with runtime.toolset("named") as toolset:
        assert names_in(call(toolset, "shell", cmd=SAYS_ALL).text) == {"MINE", "GEMINI_API_KEY"}


# The shell says whose child it is: some shells become the program that they are told to run, others start it.
LOOKS_INTO_A_TASK = """
import sys
found = []
for line in open(f"/proc/{sys.argv[1]}/maps"):
    found.append(line)
print(len(found), "readable")
"""


@pytest.mark.skipif(offer().kind != "signals and tracing", reason="this kernel has no scopes for a fence")
@pytest.mark.parametrize("agent", ["shell", "named"])
def test_a_command_can_not_look_for_keys_in_the_memory_of_its_task(runtime: Runtime, agent: str) -> None:
    text = said(runtime, agent, "shell", cmd=f"{sys.executable} -c '{LOOKS_INTO_A_TASK.strip()}' $PPID")
    assert "readable" not in text
    assert "Permission denied" in text
    assert "Permission denied" in said(runtime, agent, "shell", cmd="cat /proc/$PPID/environ /proc/$PPID/mem")
    # Of itself, and what it starts, it can see everything.
    assert "PATH" in said(runtime, agent, "shell", cmd="sleep 9 & cat /proc/$!/environ /proc/$$/environ")


@pytest.mark.skipif(offer().kind != "signals and tracing", reason="this kernel has no scopes for a fence")
def test_a_command_that_cannot_be_started_says_why_behind_its_fence_too(runtime: Runtime) -> None:
    assert "could not be started" in said(runtime, "shell", "shell", cmd="x" * 300_000)


@pytest.fixture
def house(monkeypatch: pytest.MonkeyPatch, _environment: None) -> Iterator[ModelServer]:
    def reply(request: Any) -> Any:
        if request.tool_answers:
            return Text("\n".join(request.tool_answers))
        if "fail" in str(request.body["messages"][:2]):
            return Status(400, f"I do not like {SECRETS['HOUSE_KEY']}")
        return Calls(("shell", {"cmd": SAYS_ALL}))

    with ModelServer(reply) as server:
        monkeypatch.setenv("HOUSE", server.base_url)
        yield server


def test_a_model_gets_its_key_and_the_shell_beside_it_none(house: ModelServer) -> None:
    agent = {"model": "house", "toolsets": [{"type": "shell"}]}
    with Runtime.from_mapping({**team(), "agents": {"root": agent}}, standby=1) as runtime:
        for _ in range(3):
            view = run_and_wait(runtime, "root")
            assert names_in(view.result or view.reason) == set()
    assert set(house.authorizations) == {f"Bearer {SECRETS['HOUSE_KEY']}"}


def test_a_task_that_is_started_again_has_its_key_again(house: ModelServer) -> None:
    restart = {"policy": "transient", "max_restarts": 1, "backoff": 0.01}
    agent = {"model": "house", "toolsets": [{"type": "shell"}], "restart": restart, "fallback": {"retries": 0}}
    with Runtime.from_mapping({**team(), "agents": {"root": agent}}, standby=0) as runtime:
        run_and_wait(runtime, "root", "fail")
    assert house.authorizations == [f"Bearer {SECRETS['HOUSE_KEY']}"] * 2


@pytest.mark.usefixtures("house")
def test_nothing_that_is_kept_of_a_run_holds_a_key(tmp_path: Path) -> None:
    agents = {
        "root": {"model": "house", "toolsets": [{"type": "shell"}]},
        "function": {"model": "python/key_entrypoints:answers", "toolsets": [{"type": "mcp", "ref": "database"}]},
    }
    with Runtime.from_mapping({**team(), "agents": agents}, standby=0, state_dir=tmp_path) as runtime:
        views = [run_and_wait(runtime, "root", task) for task in ("go", "fail")]
        views.append(run_and_wait(runtime, "function", 'environment {"name": "PASSWORD"}'))
        assert [view.status for view in views] == ["completed", "failed", "completed"]
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert len(kept) > 1000
    assert [name for name, value in SECRETS.items() if value.encode() in kept] == []


@pytest.mark.usefixtures("_environment")
def test_a_key_that_an_error_of_the_users_code_quotes_is_not_told_on(tmp_path: Path) -> None:
    with Runtime.from_mapping(team(), standby=0, state_dir=tmp_path) as runtime:
        view = run_and_wait(runtime, "quoter", "GEMINI_API_KEY")
        assert "http://host/?key=[key] cannot be reached" in view.reason
        kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert SECRETS["GEMINI_API_KEY"] not in view.reason + view.traceback
    assert SECRETS["GEMINI_API_KEY"].encode() not in kept


def test_a_token_in_the_address_of_a_model_is_in_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOUSE_TOKEN", "tk-of-the-house-4720")
    house = {"provider": "vllm", "model": "m", "base_url": "http://127.0.0.1:9/${env.HOUSE_TOKEN}/v1"}
    agent = {"model": "house", "fallback": {"retries": 0}}
    with Runtime.from_mapping({"models": {"house": house}, "agents": {"root": agent}}, standby=0) as runtime:
        reason = run_and_wait(runtime, "root").reason
    assert "http://127.0.0.1:9/[key]/v1" in reason
    assert "4720" not in reason


def given(name: str, environ: dict[str, str], **agents: Any) -> set[str]:
    checked = team_from_mapping({**team(), "agents": agents})
    return set(Keys(checked).of(checked.agents[name], encoded(environ)))


def test_a_task_is_given_no_key_that_it_does_not_need() -> None:
    assert given("a", SECRETS, a={"model": "house"}) == {"HOUSE_KEY"}
    both = {"model": "house", "fallback": {"models": ["openai/x"]}}
    assert given("a", SECRETS, a=both) == {"HOUSE_KEY", "OPENAI_API_KEY"}
    tracker = {"model": "openai/x", "toolsets": [{"type": "mcp", "ref": "tracker"}]}
    assert given("a", SECRETS, a=tracker) == {"TRACKER", "OPENAI_API_KEY"}
    assert given("a", SECRETS, a={"model": "ollama/x", "toolsets": [{"type": "shell"}]}) == set()


def test_a_model_that_is_chosen_by_its_key_is_given_that_one_alone() -> None:
    keys = {**SECRETS, "MISTRAL_API_KEY": "sk-of-mistral-4718"}
    assert given("a", keys, a={"model": "auto"}) == {"OPENAI_API_KEY"}
    del keys["OPENAI_API_KEY"]
    assert given("a", keys, a={"model": "auto"}) == {"GEMINI_API_KEY"}
    assert given("a", {}, a={"model": "auto"}) == set()


def test_the_keys_of_a_team_stay_such_when_another_model_takes_its_place() -> None:
    names = Keys(override_model(team_from_mapping(team()), "python/key_entrypoints:answers")).names
    assert names >= set(SECRETS)


@pytest.mark.parametrize(
    ("server", "name"),
    [
        ({"command": "x", "args": ["--token", "${env.A_NAME}"]}, "A_NAME"),
        ({"command": "x", "args": ["--api-key=${env.A_NAME}"]}, "A_NAME"),
        ({"command": "x", "env": {"DB_PASSWORD": "$A_NAME"}}, "A_NAME"),
        ({"command": "x", "env": {"PLAIN": "${env.MY_SECRET}"}}, "MY_SECRET"),
        ({"remote": {"url": "http://host/mcp?api_key=${env.A_NAME}"}}, "A_NAME"),
        ({"remote": {"url": "http://host/${env.HOST_TOKEN}/mcp"}}, "HOST_TOKEN"),
        ({"remote": {"url": "http://host/mcp", "headers": {"X-Any": "${env.A_NAME}"}}}, "A_NAME"),
        ({"ref": "docker:x", "env": {"x.any": "$A_NAME"}}, "A_NAME"),
        ({"ref": "docker:x", "config": {"deep": [{"apiKey": "${env.A_NAME}"}]}}, "A_NAME"),
    ],
)
def test_what_an_mcp_server_is_given_as_a_secret_is_withheld_from_all_others(server: dict[str, Any], name: str) -> None:
    agent = {"model": "openai/x", "toolsets": [{"type": "mcp", **server}]}
    checked = team_from_mapping({"agents": {"a": agent, "b": {"model": "openai/x"}}})
    keys, environ = Keys(checked), encoded({name: "some-value-4719"})
    assert name in keys.names
    assert name in keys.of(checked.agents["a"], environ)
    assert name not in keys.of(checked.agents["b"], environ)


def test_what_no_program_works_without_is_no_key_whatever_a_file_does_with_it() -> None:
    headers = {"X-User": "${env.USER}", "X-Home": "${env.HOME}"}
    remote = {"type": "mcp", "remote": {"url": "http://host/mcp", "headers": headers}}
    names = Keys(team_from_mapping({"agents": {"a": {"model": "openai/x", "toolsets": [remote]}}})).names
    assert not {"USER", "HOME", "PATH"} & names
