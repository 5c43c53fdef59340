"""New team: the two files that `init` writes, `team.yaml` and `work.py`."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Final, NamedTuple

__all__ = ["TOOLS", "WORK", "ModelChoice", "prompt_for", "team_text"]

TOOLS: Final = {
    "fetch": ("{type: fetch}", "reads web pages"),
    "filesystem": ("{type: filesystem, readonly: true}", "reads files"),
    "memory": ("{type: memory, path: memory.db}", "remembers things from one run to the next"),
    "shell": ("{type: shell}", "runs commands; `permissions` can have it ask first"),
    "think": ("{type: think}", "writes thoughts down"),
    "todo": ("{type: todo}", "a list of things to do"),
}
"""Toolsets that need nothing to be set up, by name: an entry of the team file, and what it is for."""

_PLAIN: Final = re.compile(r"[A-Za-z0-9][\w./:-]*(?<!:)")
"""What YAML takes for text as it stands."""


class ModelChoice(NamedTuple):
    """A model that a team may have.

    Attributes:
        reference: `provider/model`, or what its server calls it; empty: the team has no model.
        base_url: root of its endpoint, where no provider has that; else empty.
        why: why it is proposed, for a person.
    """

    reference: str
    base_url: str = ""
    why: str = ""


WORK: Final = '''\
"""The Python of this team: a tool for its agents, and a function that is an agent of its own."""

import re
from functools import partial
from pathlib import Path

from subactors.runtime import EntrypointTask

TEXTS = {".csv", ".html", ".js", ".json", ".md", ".py", ".rst", ".toml", ".ts", ".txt", ".yaml", ".yml"}


def text_files(pattern: str = "*") -> list[str]:
    """Name the text files in the current folder, a hundred of them at most.

    Args:
        pattern: which of them, such as `*.py`.
    """
    files = sorted(path for path in Path().glob(pattern) if path.suffix in TEXTS and path.is_file())
    return [str(path) for path in files[:100]]


def occurrences(words: list[str], name: str) -> dict[str, int]:
    """Count how often words stand in a file."""
    found = re.findall(r"\\w+", Path(name).read_text(encoding="utf-8", errors="replace").lower())
    return {word: found.count(word) for word in words}


def survey(task: EntrypointTask) -> str:
    """Count the words of the task in all text files, each file in a process of its own."""
    words = list(dict.fromkeys(re.findall(r"\\w+", task.text.lower())))
    files = task.tools.call("text_files").data
    lines = []
    for name, counts in zip(files, task.runtime.map(partial(occurrences, words), files)):
        lines.append(f"{name}: " + ", ".join(f"{word} {count}" for word, count in counts.items()))
        task.progress(len(lines), len(files), name)
        task.emit(f"{lines[-1]}\\n")  # is seen at once
    return "\\n".join(lines) or "There are no text files here."
'''

_HEAD: Final = """\
# A team of agents. `subactors check team.yaml` names what is wrong with it,
# and says which agents would run here.
"""

_ROOT: Final = """\
agents:
  root:                                         # answers what `subactors run` is asked
    model: {model}
    description: Answers questions about the files in the current folder
    instruction: |
      Answer questions about the text files in the current folder.
      `text_files` names them. To count words, start the agent `surveyor` in the
      background, with the words as its task, and wait for it.
    sub_agents: [surveyor]
    toolsets:
      - {{type: background_agents}}               # starts sub-agents, waits for them, stops them
      - {{type: python, functions: [work:text_files]}}
"""

_SURVEYOR: Final = """\
  surveyor:
    description: Counts how often the words of its task stand in each text file
    entrypoint: work:survey                     # a function in work.py is the whole agent
    toolsets:
      - {type: python, functions: [work:text_files]}
"""

_LIMITS: Final = "    limits: {wall_clock: 60, memory: 1GB}\n"

_WITHOUT_MODEL: Final = """\
# An agent with a model needs no code. Take out the `#` below, set the key of
# its provider, and `subactors run` asks `root`.
#  root:
#    model: openai/gpt-4o                       # or ollama/qwen3, mistral/mistral-small-latest, ...
#    instruction: Answer questions about the text files here. The surveyor counts words.
#    sub_agents: [surveyor]
#    toolsets: [{type: background_agents}, {type: python, functions: [work:text_files]}]
"""


def team_text(model: ModelChoice, tools: Sequence[str]) -> str:
    """Return the team file.

    Args:
        model: of the root; without one the function is the root.
        tools: toolsets of the agent that answers, of `TOOLS`.
    """
    lines = "".join(f"      - {entry:<39} # {purpose}\n" for entry, purpose in map(TOOLS.__getitem__, tools))
    if not model.reference:
        return f"{_HEAD}agents:\n{_SURVEYOR}{lines}{_LIMITS}{_WITHOUT_MODEL}"
    root = _ROOT.format(model="main" if model.base_url else _yaml(model.reference))
    models = ""
    if model.base_url:
        entry = f"provider: local, model: {_yaml(model.reference)}, base_url: {_yaml(model.base_url)}"
        models = f"models:\n  main: {{{entry}}}\n"
    return f"{_HEAD}{root}{lines}{_SURVEYOR}{_LIMITS}{models}"


def prompt_for(model: ModelChoice) -> str:
    """Return what the new team can be asked first."""
    asked = "Which is more frequent here, agent or tool?"
    return asked if model.reference else "agent task tool"


def _yaml(text: str) -> str:
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
