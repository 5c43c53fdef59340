"""The agents of the bundled demonstration, each on real files with its real tools."""

from __future__ import annotations

import re
from io import StringIO
from pathlib import Path
from typing import Final

import pytest
from demo_surveys import SURVEYORS, Listener, function, rows, small_project, survey, write
from rich.console import Console
from rich.markdown import Markdown
from subactors.runtime.demo.report import survey_report
from subactors.runtime.demo.tasks import Look, Seen, Started, View


@pytest.fixture
def project(tmp_path: Path) -> Path:
    return small_project(tmp_path / "project")


def test_sizes_are_those_of_the_files(project: Path) -> None:
    answer = survey("sizes", project)
    counted: dict[str, list[int]] = {}
    names = {".md": "Markdown", ".toml": "TOML", ".py": "Python", ".js": "JavaScript"}
    for path in project.rglob("*"):
        if path.is_file() and not {".git", "node_modules"} & set(path.parts):
            tally = counted.setdefault(names[path.suffix], [0, 0, 0])
            data = path.read_bytes()
            for index, number in enumerate((1, len(data.splitlines()), len(data))):
                tally[index] += number
    table = {row[0]: row[1:] for row in rows(answer) if row[0] in counted}
    assert table.keys() == counted.keys()
    for language, (files, lines, size) in counted.items():
        shown = f"{size} bytes" if size < 1000 else f"{size / 1000:.1f} kB"
        assert table[language] == [str(files), str(lines), shown]
    assert answer.startswith(f"8 files in 4 folders, {sum(c[2] for c in counted.values()) / 1000:.1f} kB: ")
    assert f": {sum(c[1] for c in counted.values())} lines of text, " in answer
    assert "Not opened, as made or fetched by tools: `.git`, `node_modules`." in answer


def test_a_last_line_without_line_break_counts(tmp_path: Path) -> None:
    files = {"a.py": "x\ny", "b.py": "x", "c.py": "", "d.py": "x\n", "e.js": "x" * 100_000}
    answer = survey("sizes", write(tmp_path, files))
    assert ": 5 lines of text, 80 % of them Python." in answer


def test_environments_and_caches_are_known_by_what_is_in_them(tmp_path: Path) -> None:
    files = {
        "a.py": "x\n",
        "my_env/pyvenv.cfg": "",
        "my_env/b.py": "x\n",
        "cache/CACHEDIR.TAG": "",
        "cache/c.py": "x\n",
    }
    answer = survey("sizes", write(tmp_path, files))
    assert answer.startswith("1 file in 1 folder,")
    assert "tools: `cache`, `my_env`." in answer


def test_a_build_folder_is_left_out_only_where_something_is_built(tmp_path: Path) -> None:
    files = {"build/a.py": "x\n", "app/package.json": "{}", "app/build/b.py": "x\n"}
    answer = survey("sizes", write(tmp_path, files))
    assert "tools: `app/build`." in answer
    assert ["build/a.py", "1"] in rows(answer)


def test_links_are_not_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "folder", {"a.py": "x\n"})
    outside = write(tmp_path / "outside", {"b.py": "x\n"})
    (folder / "link").symlink_to(outside)
    (folder / "circle").symlink_to(folder)
    answer = survey("sizes", folder)
    assert answer.startswith("1 file in 1 folder,")
    assert "2 symbolic links not followed." in answer


def test_odd_file_names_are_no_obstacle(tmp_path: Path) -> None:
    names = ["two words.py", "a -> b.py", "x (3 bytes).py", "[brackets].py", "ünï|cödé.py", "DIR  d.py"]
    answer = survey("functions", write(tmp_path, {name: function("f", 4) for name in names}))
    assert answer.startswith("6 functions in 6 of 6 Python files read;")


@pytest.mark.parametrize("agent", SURVEYORS)
def test_an_empty_folder_has_an_answer(tmp_path: Path, agent: str) -> None:
    assert re.match(r"There are no files|No ", survey(agent, tmp_path))


@pytest.mark.parametrize("agent", SURVEYORS)
def test_a_folder_without_code_has_an_answer(tmp_path: Path, agent: str) -> None:
    assert survey(agent, write(tmp_path, {"a.txt": "Words.\n", "b.bin": b"\0\1", "c": "x"}))


def test_the_longest_functions_are_found_with_their_places(project: Path) -> None:
    answer = survey("functions", project)
    assert answer.startswith("2 functions in 2 of 4 Python files read; the median is 3 lines, 1 has more than 50.")
    assert rows(answer) == [
        ["60", "longest", "core/engine.py:4"],
        ["3", "small", "core/data.py:1"],
    ]
    assert "Counted for Python; functions in other languages are not looked for." in answer


def test_methods_and_functions_in_functions_are_named_with_what_is_around_them(tmp_path: Path) -> None:
    code = (
        "class A:\n" + function("m", 3, "    ") + "def f():\n" + function("g", 2, "    ") + "    if f:\n        pass\n"
    )
    answer = survey("functions", write(tmp_path, {"a.py": code + "async def h():\n    try: pass\n    finally: pass\n"}))
    assert {(row[0], row[1]) for row in rows(answer)} == {("3", "A.m"), ("5", "f"), ("2", "f.g"), ("3", "h")}


def test_long_files_are_read_to_the_end(tmp_path: Path) -> None:
    code = "".join(function(f"f{number}", 10) for number in range(500)) + function("last", 77)
    answer = survey("functions", write(tmp_path, {"long.py": code}))
    assert rows(answer)[0] == ["77", "last", "long.py:5001"]
    assert "501 functions in 1 of 1 Python files read" in answer


def test_long_lines_are_no_obstacle_to_others(tmp_path: Path) -> None:
    long_line = f"x = '{'y' * 20_000}'\n"
    answer = survey("functions", write(tmp_path, {"a.py": long_line * 5 + function("f", 4)}))
    assert rows(answer) == [["4", "f", "a.py:6"]]


def test_what_is_no_python_is_said(tmp_path: Path) -> None:
    files = {"bad.py": "def f(:\n", "binary.py": b"\0\1\2", "latin.py": b"# \xe9\ndef f():\n    pass\n"}
    answer = survey("functions", write(tmp_path, files))
    assert rows(answer) == [["2", "f", "latin.py:2"]]
    assert "No valid Python, hence not in it: `bad.py`." in answer
    assert "Could not be read as text: `binary.py`." in answer


def test_a_bound_that_is_reached_is_said(tmp_path: Path) -> None:
    files = {f"f{number}.py": function(f"f{number}", 4) for number in range(60)} | {"large.py": "#\n" * 200_000}
    answer = survey("functions", write(tmp_path, files))
    assert answer.startswith("60 functions in 60 of 60 Python files read;")
    assert "Not read, as larger than 250 kB: `large.py`." in answer


def test_functions_are_found_in_what_is_nested_without_reason(tmp_path: Path) -> None:
    deep = "if x:\n    pass\n" + "elif x:\n    pass\n" * 900 + "def f():\n    pass\n"
    answer = survey("functions", write(tmp_path, {"a.py": deep, "b.py": "(" * 100_000 + ")" * 100_000}))
    assert rows(answer) == [["2", "f", "a.py:1803"]]


def test_notes_are_comments_and_nothing_else(project: Path) -> None:
    answer = survey("notes", project)
    assert answer.startswith("2 open notes in 2 files: 1 FIXME, 1 TODO.")
    assert rows(answer) == [["web/b.js:2", "FIXME(me): two"], ["core/data.py:4", "TODO: load it"]]


def test_a_comment_that_only_speaks_of_notes_is_none(tmp_path: Path) -> None:
    files = {
        "a.py": "'''TODO: no'''\nx = '# FIXME: no'\n# about TODO notes\nTODO = 1  # XXX yes\n# HACK: yes\n",
        "b.c": '/* TODO yes\n * FIXME: yes */\nchar *s = "// TODO: no"; // TODO: "yes"\n',
        "c.sh": "echo TODO\n# TODO yes | too\n",
        "d.md": "The TODO list: no\n",
        "e.py": "broken(\n# TODO: yes\n",
    }
    places = {row[0] for row in rows(survey("notes", write(tmp_path, files)))}
    assert places == {"a.py:4", "a.py:5", "b.c:1", "b.c:2", "b.c:3", "c.sh:2", "e.py:2"}


def test_notes_in_folders_made_by_tools_are_not_searched(tmp_path: Path) -> None:
    files = {"setup.py": "", "build/a.py": "# TODO: no\n", "[b]/pyvenv.cfg": "", "[b]/c.py": "# TODO: no\n"}
    assert survey("notes", write(tmp_path, files)).startswith("No open notes.")


def test_packages_are_those_that_come_from_elsewhere(project: Path) -> None:
    answer = survey("imports", project)
    assert answer.startswith("3 packages imported by 6 files; `@x/c` by the most, 1.")
    assert rows(answer) == [["@x/c", "1"], ["pytest", "1"], ["yaml", "1"]]


@pytest.mark.parametrize(
    ("files", "packages"),
    [
        ({"src/p/__init__.py": "", "src/p/a.py": "import os.path", "b.py": "import p.a\nfrom q.r import s"}, {"q"}),
        ({"t/one.py": "import helper, deep", "t/helper.py": "", "p/__init__.py": "", "p/deep.py": ""}, {"deep"}),
        ({"p/__init__.py": "from .a import b", "p/a.py": "def f():\n    import lazy", "bad.py": "import (x"}, {"lazy"}),
        ({"a.js": "// import\nexport * from 'b/c'\nimport('d')\nimport './e'", "f.ts": "import type {X} from 'g'"},
         {"b", "d", "g"}),
    ],
)  # fmt: skip
def test_packages_are_told_from_what_can_be_imported_here(
    tmp_path: Path, files: dict[str, str], packages: set[str]
) -> None:
    assert {row[0] for row in rows(survey("imports", write(tmp_path, files)))} == packages


@pytest.mark.parametrize("agent", SURVEYORS)
def test_a_surveyor_works_in_several_turns_and_says_how_it_goes(project: Path, agent: str) -> None:
    listener = Listener()
    survey(agent, project, listener)
    with_tools = [turn for turn in listener.turns if turn.tool_calls]
    assert len(with_tools) > 2
    assert all(turn.content for turn in with_tools)


# --- names that Markdown takes for something else ---------------------------------------------------------------------

ODD_NAMES: Final = ("__init__", "*a*", "`b`", "[c](d)", "<e>", "~~f~~", "&amp;")


def rendered(markdown: str) -> str:
    """What a terminal shows of an answer, on lines that are long enough for all of it."""
    shown = StringIO()
    Console(file=shown, width=400).print(Markdown(markdown))
    return shown.getvalue()


@pytest.mark.parametrize(
    ("agent", "shown"),
    [
        ("sizes", [f"{name}.py" for name in sorted(ODD_NAMES)[:5]]),
        ("functions", [f"{name}.py:4" for name in ODD_NAMES] + ["A.__init__"]),
        ("notes", [f"{name}.py:5" for name in ODD_NAMES] + ["TODO: *all* of `__x__` <now>"]),
        ("imports", ["__x__ by the most"]),
    ],
)
def test_no_name_is_taken_for_markdown(tmp_path: Path, agent: str, shown: list[str]) -> None:
    text = "import __x__\n\nclass A:\n    def __init__(self):\n        pass  # TODO: *all* of `__x__` <now>\n"
    answer = survey(agent, write(tmp_path, {f"{name}.py": text for name in ODD_NAMES}))

    assert [name for name in shown if name not in rendered(answer)] == []


def test_no_name_in_a_report_is_taken_for_markdown() -> None:
    look = Look("agent_task_1", "sizes", "running", "1 s", "the longest is A.__init__ in *b*.py")
    view = View("failed", "2 s", "", "", "NameError: name '__x__' is not *defined*", "")
    seen = Seen(
        [Started("sizes", "agent_task_1", ""), Started("notes", "", "No agent __y__.")],
        [[look]],
        {"agent_task_1": view},
    )

    shown = rendered(survey_report("__main__", seen))

    for name in ("of __main__", "A.__init__ in *b*.py", "name '__x__' is not *defined*", "No agent __y__."):
        assert name in shown
