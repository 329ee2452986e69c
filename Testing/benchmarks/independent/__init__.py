"""A benchmark that shares nothing with ``DeepRegLogic.synthetic``: cases of known motion, metrics, other programs.

``cases.make(kind, seed)`` draws a case. Seeds 0 to 99 are for development, seeds from 10 000 on for tests: nothing may
ever be tuned on the latter, neither a method of the package, nor a setting of another program, nor this generator.
"""
