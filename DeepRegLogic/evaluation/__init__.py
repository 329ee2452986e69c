"""How good a motion is, by the user's own labels, landmarks or true fields; figures of the field's papers.

``evaluate.evaluate`` measures one pair or cine, ``summary.summarise`` many of them.
"""
