"""Net: how servers are reached, those of models and of tools alike."""
