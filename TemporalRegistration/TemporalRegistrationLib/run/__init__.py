"""Computing in a process of its own: the environment, the worker, and the job that uses it."""
