"""Nodes: other machines on which tasks run. How their agents are started, and how a task gets to one."""
