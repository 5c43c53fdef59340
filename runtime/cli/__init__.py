"""Command line: the program `subactors`.

`main` finds the command. `…_commands` read its arguments, with `arguments`, `help`, `manner` and `completion`. The work
is done in modules that are imported when a command is called: `run`, `resume`, `tasks`, `ps`, `logs`, `wait`, `stop`,
`talk`, `runs`, `check`, `doctor` and `schema`. `display` is what a terminal shows, with `task_table` while tasks run,
`answer` and `afterwards` when they have ended; `json_style` what a program reads.
"""
