"""The parts of the module's panel, top to bottom: inputs, method, run, review, curves, export."""
