"""Timeline: a picture of a run, or of a task and all that it has started, afterwards, by the run's journal."""
