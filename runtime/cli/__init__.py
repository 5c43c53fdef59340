"""Command line: the program `subactors`.

`main` reads arguments; `run`, `tasks`, `check` and `doctor` are the commands; `display` is what a terminal shows.
"""
