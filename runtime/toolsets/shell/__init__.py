"""Shell: command lines, of a model or of the team file's author."""
