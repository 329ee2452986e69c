"""Collects what the numerics say to a user, for the translators of the application.

    python Testing/helpers/collect_sentences.py      # writes TemporalRegistrationLib/sentences.py

Every text in DeepRegLogic that has a blank and is no documentation is collected, with what is filled in by name.
"""

from __future__ import annotations

import ast
import builtins
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / "TemporalRegistration" / "TemporalRegistrationLib" / "sentences.py"
HEAD = '''# fmt: off
# ruff: noqa: E501
"""What the numerics say to a user, as templates for the application's translators.

Made by Testing/helpers/collect_sentences.py (``make sentences``); do not change it by hand.
"""

from __future__ import annotations

from collections.abc import Callable


def templates(_: Callable[[str], str]) -> list[str]:
    """The templates, each as ``_`` translates it."""
    return [
'''


def template_of(node: ast.AST) -> str:
    """The text of a string, or of an f-string with its values by name, "" for other nodes."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value.replace("{", "{{").replace("}", "}}")
    if not isinstance(node, ast.JoinedStr):
        return ""
    parts, used = [], []
    for part in node.values:
        if isinstance(part, ast.FormattedValue):
            names = [n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(part.value) if _is_name(n)]
            own = [name for name in names if not hasattr(builtins, name)]
            base = (own or ["value"])[0].strip("_") or "value"
            name, number = base, 2
            while name in used:
                name, number = f"{base}{number}", number + 1
            used.append(name)
            parts.append("{" + name + "}")
        else:
            parts.append(part.value.replace("{", "{{").replace("}", "}}"))
    return "".join(parts)


def _is_name(node: ast.AST) -> bool:
    return isinstance(node, (ast.Name, ast.Attribute))


def _texts(tree: ast.AST) -> list[str]:
    inside, documentation = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            inside |= {id(part) for value in node.values for part in ast.walk(value)}
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            documentation.add(id(node.value))
    nodes = [node for node in ast.walk(tree) if id(node) not in inside | documentation]
    return [template_of(node) for node in nodes]


def sentences() -> list[str]:
    """The templates, without those that hold hardly any words."""
    found = set()
    for path in sorted((ROOT / "DeepRegLogic").rglob("*.py")):
        if "synthetic" not in path.parts and "training" not in path.parts and "cli" not in path.parts:
            found |= set(_texts(ast.parse(path.read_text(encoding="utf-8"))))
    words = {text: re.findall(r"[A-Za-z]{2,}", re.sub(r"\{\w+\}", " ", text)) for text in found}
    return sorted(text for text in found if len(words[text]) >= 2 and " " in text.strip() and "\n" not in text)


def content() -> str:
    """What the file of templates holds."""
    return HEAD + "".join(f"        _({_quoted(text)}),\n" for text in sentences()) + "    ]\n"


def _quoted(text: str) -> str:
    """In double quotes, as the formatter has it."""
    body = text.replace("\\", "\\\\").replace("\t", "\\t")
    return f"'{body}'" if '"' in body and "'" not in body else '"' + body.replace('"', '\\"') + '"'


if __name__ == "__main__":
    TARGET.write_text(content(), encoding="utf-8")
