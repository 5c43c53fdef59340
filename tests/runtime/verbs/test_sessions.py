"""Functions of programs that are no module: of a script, of `python -c`, of standard input, of IPython."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

SETUP = """
import json
from subactors.runtime import Runtime, TaskFailed

factor = 3

class Box:
    def __init__(self, size):
        self.size = size
    def doubled(self):
        return Box(self.size * 2)

def area(box):
    assert isinstance(box, Box)
    return box.size * factor

def later_area(box):
    async def work():
        return area(box)
    return work()

def answer():
    return 1

def fails():
    raise ValueError("mine")
"""

WORK = """
with Runtime(standby=0) as runtime:
    def result(function, *args):
        return runtime.submit(function, *args).result(30)

    said = {
        "function": result(area, Box(2)),
        "async": result(later_area, Box(3)),
        "method": result(Box(2).doubled().doubled().__getattribute__, "size"),
        "lambda": result(lambda text: text * factor, "a"),
    }
    factor = 4
    said["a variable that was changed"] = result(area, Box(2))
    said["before"] = result(answer)

    def answer():
        return 2

    said["after"] = result(answer)

    class Box(Box):
        def __init__(self, size):
            super().__init__(size + 1)

    said["a class that was defined again"] = result(area, Box(2))
    try:
        result(fails)
    except TaskFailed as failed:
        said["reason"], said["traceback"] = failed.reason, failed.traceback
print(json.dumps(said))
"""

EXPECTED = {
    "function": 6,
    "async": 9,
    "method": 8,
    "lambda": "aaa",
    "a variable that was changed": 8,
    "before": 1,
    "after": 2,
    "a class that was defined again": 12,
    "reason": "ValueError: mine",
}


def _said(command: list[str], text: str | None = None, cwd: Path | None = None) -> tuple[Any, str]:
    done = subprocess.run(command, input=text, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    said = json.loads(done.stdout.strip().splitlines()[-1])
    return said, said.pop("traceback")


def test_a_script_hands_over_what_is_its_own(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f"{SETUP}\n{WORK}")

    said, traceback = _said([sys.executable, str(script)])

    assert said == EXPECTED
    assert f'File "{script}", line 26, in fails\n    raise ValueError("mine")' in traceback


def test_a_script_without_a_guard_is_not_run_in_its_tasks(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(f'open("runs", "a").write("x")\n{SETUP}\n{WORK}')

    _said([sys.executable, str(script)], cwd=tmp_path)

    assert (tmp_path / "runs").read_text() == "x"


@pytest.mark.parametrize("standard_input", [False, True])
def test_python_c_and_standard_input_hand_over_what_is_theirs(standard_input: bool) -> None:
    program = f"{SETUP}\n{WORK}"
    command = [sys.executable, *(["-"] if standard_input else ["-c", program])]

    said, traceback = _said(command, program if standard_input else None)

    assert said == EXPECTED
    assert f'File "{"<stdin>" if standard_input else "<string>"}", line 26, in fails' in traceback


def test_a_cell_of_ipython_hands_over_what_is_its_own(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    session = textwrap.dedent(
        """
        from IPython.core.interactiveshell import InteractiveShell

        shell = InteractiveShell.instance()
        for cell in {cells!r}:
            shell.run_cell(cell).raise_error()
        """
    ).format(cells=[SETUP, WORK])

    said, traceback = _said([sys.executable, "-c", session], cwd=tmp_path)

    assert said == EXPECTED
    assert 'line 25, in fails\n    raise ValueError("mine")' in traceback


def test_ipython_itself_runs_a_session(tmp_path: Path) -> None:
    pytest.importorskip("IPython")
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=nocolor", "--ipython-dir", str(tmp_path), "-c"]

    said, _ = _said([*command, f"{SETUP}\n{WORK}"], cwd=tmp_path)

    assert said == EXPECTED


CLASSES = """
import abc, collections, dataclasses, enum, json, typing
import msgspec, pydantic
from subactors.runtime import Runtime

@dataclasses.dataclass
class Data:
    a: int

@dataclasses.dataclass(slots=True)
class Slots:
    a: int

class Model(pydantic.BaseModel):
    a: int
    inner: list["Model"] = []

    @pydantic.field_validator("a")
    @classmethod
    def above_zero(cls, a):
        assert a > 0
        return a

class Level(enum.Enum):
    LOW = 1

class Flags(enum.IntFlag):
    A = 1
    B = 2

class Mapping(typing.TypedDict):
    a: int

Pair = collections.namedtuple("Pair", "a b")

class Base(abc.ABC):
    @abc.abstractmethod
    def name(self): ...

class Derived(Base):
    def name(self):
        return __class__.__name__

class Failure(Exception):
    pass

class Struct(msgspec.Struct):
    a: int
    rows: list[int] = []

    def __post_init__(self):
        self.a += 1

class Tree(Struct, kw_only=True, rename="camel", tag="tree", frozen=False):
    under_tree: "Tree | None" = None
    leaves: list["Tree"] = msgspec.field(default_factory=list)

    def __post_init__(self):
        super().__post_init__()
        self.a += 1

    def size(self):
        return 1 + sum(leaf.size() for leaf in self.leaves)

def grown(tree):
    data = msgspec.json.encode(Tree(a=1, leaves=[tree]))
    return [data.decode(), msgspec.json.decode(data, type=Tree).size(), repr(Tree(a=5))]

def name_of(value):
    assert isinstance(value, globals().get(type(value).__name__, type(value)))
    return type(value).__name__

with Runtime(standby=0) as runtime:
    def result(function, *args, type=None):
        return runtime.submit(function, *args).result(30, type=type)

    values = [Data(1), Slots(1), Model(a=1), Level.LOW, Flags.A | Flags.B, Pair(1, 2), Derived(), Failure(1), Struct(1)]
    said = {"names": [result(name_of, value) for value in values], "derived": result(lambda: Derived().name())}
    kinds = [Data, Slots, Model, Mapping, Struct]
    # The second time a class has been used for decoding, and has notes of that.
    said["decoded"] = [str(result(lambda: kind(a=1), type=kind)) for kind in kinds * 2]
    said["structs"] = result(grown, Tree(a=1))
said["traceback"] = ""
print(json.dumps(said))
"""


def test_classes_of_a_script_of_all_kinds_go_with_what_uses_them(tmp_path: Path) -> None:
    script = tmp_path / "classes.py"
    script.write_text(CLASSES)

    said, _ = _said([sys.executable, str(script)])

    assert said["names"] == ["Data", "Slots", "Model", "Level", "Flags", "Pair", "Derived", "Failure", "Struct"]
    assert said["derived"] == "Derived"
    assert said["decoded"] == 2 * ["Data(a=1)", "Slots(a=1)", "a=1 inner=[]", "{'a': 1}", "Struct(a=3, rows=[])"]
    grown, size, default = said["structs"]
    assert json.loads(grown) == {
        "type": "tree",
        "a": 3,
        "rows": [],
        "underTree": None,
        # To unpickle a struct calls its `__post_init__`, as with one of a module.
        "leaves": [{"type": "tree", "a": 5, "rows": [], "underTree": None, "leaves": []}],
    }
    assert (size, default) == (2, "Tree(a=7, rows=[], under_tree=None, leaves=[])")


ANNOTATIONS_AS_TEXT = """
from __future__ import annotations
import datetime as dt, enum, json, typing
from dataclasses import dataclass, field
import msgspec
from subactors.runtime import Runtime

class Level(enum.Enum):
    LOW = "low"

@dataclass
class Row:
    level: Level
    day: dt.date | None = None
    rows: list[Row] = field(default_factory=list)

class Item(msgspec.Struct):
    row: Row
    other: Item | None = None

class Mapping(typing.TypedDict):
    level: Level

def by_row(task, row: Row):
    return [row.level.name, row.day.year, row.rows[0].rows]

def by_items(task, items: list[Item]):
    return items[0].other.row.level.name

def by_mapping(task, mapping: Mapping):
    return mapping["level"].name

agents = {function.__name__: {"entrypoint": function} for function in (by_row, by_items, by_mapping)}
with Runtime.from_mapping({"agents": agents}, standby=0) as runtime:
    def result(agent, data):
        return runtime.run(agent, "go", data=data).result(30)

    row = {"level": "low", "day": "2026-01-31", "rows": [{"level": "low"}]}
    said = [result("by_row", row), result("by_items", [{"row": row, "other": {"row": row}}]), result("by_mapping", row)]
print(json.dumps({"said": said, "traceback": ""}))
"""


def test_annotations_that_are_text_are_looked_up_in_tasks_too(tmp_path: Path) -> None:
    script = tmp_path / "annotated.py"
    script.write_text(ANNOTATIONS_AS_TEXT)

    said, _ = _said([sys.executable, str(script)])

    assert said == {"said": [["LOW", 2026, []], "LOW", "LOW"]}
