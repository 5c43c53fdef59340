"""Control: how the user's other processes see and stop the tasks of a host."""
