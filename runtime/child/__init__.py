"""Child: what runs in a task's process.

`interruption` ends work that goes on after its stop; `speech` takes what it prints.
"""
