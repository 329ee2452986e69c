"""Training: a configuration, data with known or unknown motion, the Lightning task, and one function that runs it all.

``python -m DeepRegLogic train --config tlrn-cardiac --output runs/tlrn-cardiac``
"""
