"""Tasks: the language in which tasks are asked for, told of and seen."""
