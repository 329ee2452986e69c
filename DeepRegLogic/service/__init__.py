"""The calls of this package served to another process: a worker, its calls, and how values go through a folder."""
