"""Zygote: the program that imports modules once and forks every actor's process."""
