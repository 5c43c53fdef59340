"""Terminal: what a program writes to a person, and how a person interrupts it."""
