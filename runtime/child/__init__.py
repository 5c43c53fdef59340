"""Child: what runs in a task's process.

`interruption` ends work that goes on after its stop, `plain_data` makes a result, `failure` tells of an exception.
"""
