"""What a motion means: images that it carries, maps, curves, sizes, quality, doubts; computed once, when asked for."""
