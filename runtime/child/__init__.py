"""Child: what runs in a task's process."""
