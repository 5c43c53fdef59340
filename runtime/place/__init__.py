"""Place: where the processes of tasks run, and what they use and leave there."""
