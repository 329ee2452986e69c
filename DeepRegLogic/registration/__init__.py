"""Registration: prepare a plan, predict, refine, integrate, measure; and new cines from one frame."""
