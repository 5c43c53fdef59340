"""Child: the life of one actor's process, from the fork to its exit."""
