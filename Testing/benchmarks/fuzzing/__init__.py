"""Damaged inputs from a seed: how bytes are changed, what is read, and the process that may die of it."""
