"""A hub for a class: what it is set up with, and commands that measure it."""
