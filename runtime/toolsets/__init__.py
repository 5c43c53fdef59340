"""Toolsets: what an agent may do.

`base` has tools and their calls, `build` makes an agent's toolsets, `optional` stands for a missing one. What a task's
tools answer of other tasks is in `tasks/wording`.
"""
