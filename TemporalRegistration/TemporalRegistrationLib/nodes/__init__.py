"""Nodes of the scene to the values of DeepRegLogic, and back; and how the scene changes: all at once or not at all."""
