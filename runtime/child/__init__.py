"""Child: what runs in a task's process.

`interruption` ends work that goes on after its stop; `speech` takes what it prints; `belongings` has the tools and the
model that an entrypoint may use, and `task_way` leads to tasks of its own.
"""
