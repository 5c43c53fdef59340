"""The JSON schema of team files, held against the files that the loader accepts and refuses."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from commands import COMMAND
from jsonschema import Draft7Validator
from subactors.runtime.teamfile.json_schema import team_file_schema
from subactors.runtime.teamfile.load import check_team
from subactors.runtime.teamfile.schema_values import TEXT, section
from subactors.runtime.teamfile.values import Keys

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
FILES = ROOT / "tests" / "team_files"
VALID = [
    *sorted((FILES / "valid").glob("*.yaml")),
    *sorted((ROOT / "examples").rglob("*team*.yaml")),
    ROOT / "runtime" / "demo" / "team.yaml",
    ROOT / "tests" / "example-team.yaml",
]

WITHOUT = {
    "agent_of_another_file": "a name that the file has not defined",
    "its_own_sub_agent": "the name of an entry inside of it",
    "mcp_definition_missing": "a name that the file has not defined",
    "resources_of_no_cluster": "a place of another type, which it has not looked up",
    "same_key_twice": "YAML itself has only one of the two",
    "unknown_provider": "a name that may be one of `providers`",
    "unknown_place": "a name that the file has not defined",
    "unknown_sub_agent": "a name that the file has not defined",
}
"""The wrong files that a schema cannot refuse, and what it would have to know."""

WRONG = [path for path in sorted((FILES / "wrong").glob("*.yaml")) if path.stem not in WITHOUT]


@pytest.fixture(scope="module")
def validator() -> Draft7Validator:
    schema = team_file_schema()
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def faults(validator: Draft7Validator, data: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(data)]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_file_that_the_loader_accepts_is_accepted(path: Path, validator: Draft7Validator) -> None:
    assert faults(validator, yaml.safe_load(path.read_text())) == []


@pytest.mark.parametrize("path", WRONG, ids=lambda path: path.stem)
def test_a_file_that_the_loader_refuses_is_refused(path: Path, validator: Draft7Validator) -> None:
    assert faults(validator, yaml.safe_load(path.read_text()))


def test_what_a_schema_cannot_refuse_is_accepted(validator: Draft7Validator) -> None:
    for name in WITHOUT:
        assert faults(validator, yaml.safe_load((FILES / "wrong" / f"{name}.yaml").read_text())) == [], name


AGENT = "agents: {root: {model: openai/gpt-4o, %s}}"
PLAIN = "agents: {root: {model: openai/gpt-4o}}\n"


@pytest.mark.parametrize(
    "text",
    [
        AGENT % "limits: {wall_clock: 1m30s, memory: 512mb, cost: 0.5, iterations: 3.0}, restart: permanent",
        AGENT % "limits: {memory: 20 GiB}, restart: {policy: transient, period: 1h}, rag: [], description: null",
        AGENT % "instruction: [one, two], toolsets: [{type: filesystem, allow: [/tmp], readonly: true}]",
        AGENT % "toolsets: [{type: mcp, command: uvx, lifecycle: {profile: strict}, version: 1}]",
        AGENT % "toolsets: [{type: mcp, ref: 'docker:x', config: {a: 1}}, {type: fetch, blocked_domains: ['*.x.org']}]",
        AGENT % "toolsets: [{type: todo, shared: false, working_dir: ''}, {type: ask_parent, timeout: 5}]",
        PLAIN + "models: {m: {provider: openai, model: x, thinking_budget: High, provider_opts: {top_k: 3}}}",
        PLAIN + "models: {m: {provider: x, model: y, base_url: 'HTTP://localhost/v1', cost: {input: 1}}}",
        PLAIN + "runtime: {max_output: 1MB, stop_grace: 0, preload: [a.b], limits: {cpu: 5s}}\nversion: '3'",
        PLAIN + "permissions: {allow: ['read_*'], deny: ['shell:cmd=rm *', 'x:a=b:c=d'], ask: []}",
    ],
)
def test_both_accept(text: str, tmp_path: Path, validator: Draft7Validator) -> None:
    (tmp_path / "team.yaml").write_text(text)
    assert [str(problem) for problem in check_team(str(tmp_path / "team.yaml"))[1]] == []
    assert faults(validator, yaml.safe_load(text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "agents: {root: {description: x}}",
        "agents: {root: {entrypoint: 'a.b'}}",
        "agents: {root: {entrypoint: 'a:b', fallback: {retries: 1}}}",
        AGENT % "limits: {wall_clock: 0}",
        AGENT % "limits: {memory: 5 apples}",
        AGENT % "restart: sometimes",
        AGENT % "restart: {max_restarts: 3}",
        AGENT % "sub_agents: [root2, root2]",
        AGENT % "toolsets: [{type: shell, timeout: soon}]",
        AGENT % "toolsets: [{tools: [x]}]",
        AGENT % "toolsets: [{type: filesystem, allow: [a], allow_list: [b]}]",
        AGENT % "toolsets: [{type: python}]",
        AGENT % "toolsets: [{type: mcp, command: x, config: {}}]",
        AGENT % "toolsets: [{type: mcp, remote: {url: 'https://me:pw@x/mcp'}}]",
        AGENT % "toolsets: [{type: mcp, ref: 'docker:x', args: [a]}]",
        AGENT % "structured_output: {name: 'a b', schema: {}}",
        PLAIN + "models: {m: {provider: openai, model: x, temperature: 3}}",
        PLAIN + "models: {m: {provider: openai, model: x, thinking_budget: huge}}",
        PLAIN + "models: {m: {provider: openai, model: x, provider_opts: {messages: []}}}",
        PLAIN + "models: {m: {provider: python, model: 'a:b', temperature: 1}}",
        PLAIN + "models: {m: {provider: openai, model: x, token_key: 'sk-123'}}",
        PLAIN + "providers: {x: {token_key: KEY}}",
        PLAIN + "providers: {x: {base_url: 'https://me:pw@host/v1'}}",
        PLAIN + "mcps: {x: {ref: other}}",
        PLAIN + "runtime: {max_depth: 0}",
        PLAIN + "runtime: {places: {pair: {type: ssh}}}",
        PLAIN + "runtime: {places: {pair: {type: ssh, hosts: ['box1:22']}}}",
        PLAIN + "runtime: {places: {pair: {type: ssh, hosts: [box1], workdir: here}}}",
        PLAIN + "runtime: {places: {'my place': {type: ray}}}",
        "agents: {a: {entrypoint: 'b:c', place: l, resources: {gpu: 1.5}}}\nruntime: {places: {l: {type: ray}}}",
        PLAIN + "runtime: {places: {cluster: {type: ray, hosts: [box1]}}}",
        PLAIN + "runtime: {places: {cluster: {type: slurm}}}",
        PLAIN + "model: openai/gpt-4o",
    ],
)
def test_both_refuse(text: str, tmp_path: Path, validator: Draft7Validator) -> None:
    (tmp_path / "team.yaml").write_text(text)
    assert check_team(str(tmp_path / "team.yaml"))[1]
    assert faults(validator, yaml.safe_load(text))


def test_a_table_and_its_schema_have_the_same_keys() -> None:
    with pytest.raises(ValueError, match=r"differ in these keys: .'new'"):
        section(Keys(supported=frozenset({"old", "new"})), {"old": TEXT})


def test_keys_are_explained_from_the_tables() -> None:
    agent = team_file_schema()["definitions"]["agent"]["properties"]
    assert agent["sub_agents"]["description"] == "Names of the agents it may start."
    assert agent["hooks"]["description"] == "Not supported: the file would lose the commands run at its hooks."
    json.dumps(team_file_schema())


def test_the_command_prints_the_schema_and_says_which_line_a_file_begins_with() -> None:
    done = subprocess.run([*COMMAND, "schema"], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == team_file_schema()
    assert done.stderr.splitlines()[-1] == "# yaml-language-server: $schema=team.schema.json"
