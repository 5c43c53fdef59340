"""Agent: one agent at work. Its loop, its prompt, and what it is shown of its conversation."""
