"""Feedback on graded assignments, at once: one module of checks for each assignment."""
