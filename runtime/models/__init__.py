"""Models: who answers the turns of an agent."""
