"""The panel uses only what the real application has: facts read off Slicer 5.10, against the .ui file and the code."""

from __future__ import annotations

import json
import re
import typing
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

UI = tuple(f"TemporalRegistration/Resources/UI/{name}.ui" for name in ("TemporalRegistration", "Generate", "Pair"))
ROOT = Path(__file__).resolve().parents[2]
CODE = sorted(
    path.relative_to(ROOT).as_posix()
    for path in (ROOT / "TemporalRegistration").rglob("*.py")
    if re.search(r"\bui\.\w+\.\w+", path.read_text(encoding="utf-8"))
)


pytest.importorskip("slicer", reason="slicer-core is not installed")
pytest.importorskip("PySide6", reason="PySide6 is not installed")

from driving import quick, run  # noqa: E402


@pytest.fixture(scope="module")
def known(repository) -> dict:
    """Class -> members, properties and signals; those of QWidget are listed once."""
    facts = json.loads((repository / "Testing/host/slicer-5.10-widgets.json").read_text(encoding="utf-8"))
    for name, fact in facts.items():
        for kind in () if name in ("QTimer", "QProcess") else ("members", "properties"):
            fact[kind] = {*fact[kind], *facts["QWidget"][kind]}
    return facts


@pytest.fixture(scope="module")
def root(repository):
    """The widgets of all files."""
    whole = ElementTree.Element("uis")
    whole.extend(ElementTree.parse(repository / ui).getroot() for ui in UI)
    return whole


@pytest.fixture(scope="module")
def widgets(root) -> dict[str, str]:
    return {widget.get("name"): widget.get("class") for widget in root.iter("widget")}


def test_ui_uses_what_slicer_has(root, widgets, known):
    assert len(widgets) == len(list(root.iter("widget"))), "a widget name twice"
    for widget in root.iter("widget"):
        assert widget.get("class") in known, f"Slicer 5.10 has no {widget.get('class')}"
        for item in widget.findall("property"):
            dynamic = item.get("stdset") == "0"  # the application's own, such as SlicerParameterName
            assert dynamic or item.get("name") in known[widget.get("class")]["properties"], item.get("name")
    for connection in root.iter("connection"):
        sender, receiver = widgets[connection.findtext("sender")], widgets[connection.findtext("receiver")]
        assert connection.findtext("signal") in known[sender]["signals"]
        assert connection.findtext("slot").partition("(")[0] in known[receiver]["members"], receiver


def test_no_name_makes_a_list_wider(root):
    for widget in root.iter("widget"):
        if widget.get("class") in ("qMRMLNodeComboBox", "QComboBox"):
            policy = widget.find("property[@name='sizePolicy']/sizepolicy")
            assert policy is not None, widget.get("name")
            assert policy.get("hsizetype") == "Ignored", widget.get("name")


def test_every_widget_that_can_be_used_has_a_tool_tip(root):
    silent = {"QWidget", "QLabel", "QTabWidget", "ctkCollapsibleButton", "qMRMLWidget"}
    for widget in root.iter("widget"):
        tips = [item for item in widget.findall("property") if item.get("name") == "toolTip"]
        assert tips or widget.get("class") in silent, widget.get("name")


def test_all_parts_of_the_panel_are_looked_at():
    assert {Path(path).stem for path in CODE} >= {"inputs", "generate", "method", "run", "review", "curves", "export"}


@pytest.mark.parametrize("path", CODE)
def test_code_uses_what_slicer_has(repository, widgets, known, path):
    code = (repository / path).read_text(encoding="utf-8")
    used = re.findall(r"\bui\.(\w+)\.(\w+)", code)
    assert used
    for name, member in used:
        assert member in known[widgets[name]]["members"] | known[widgets[name]]["properties"] | {"connect"}, (
            name,
            member,
        )
    for name, signal in re.findall(r"\bui\.(\w+)\.connect\(\s*\"([^\"]+)\"", code):
        assert signal in known[widgets[name]]["signals"], (name, signal)
    for name in re.findall(r"\bui\.(\w+)", code):
        assert name in widgets, name


@pytest.mark.parametrize(
    ("path", "variable", "cls"),
    [
        ("TemporalRegistration/TemporalRegistrationLib/run/worker.py", r"\b_?process", "QProcess"),
        ("TemporalRegistration/TemporalRegistrationLib/run/job.py", r"_(?:step|kill)Timer", "QTimer"),
    ],
)
def test_processes_and_timers_are_used_as_slicer_has_them(repository, known, path, variable, cls):
    code = (repository / path).read_text(encoding="utf-8")
    members = set(re.findall(rf"{variable}\.(\w+)\(", code))
    assert members
    assert members <= {*known[cls]["members"]}, members - {*known[cls]["members"]}
    for signal in re.findall(rf"{variable}\.(?:dis)?connect\(\"([^\"]+)\"", code):
        assert signal in known[cls]["signals"], signal


def test_parameters_are_bound_to_widgets_that_the_application_can_bind(root, module):
    kinds = module.TemporalRegistrationParameterNode._kinds
    bound = {}
    for widget in root.iter("widget"):
        for item in widget.findall("property"):
            if item.get("name") == "SlicerParameterName":
                bound[item.findtext("string")] = widget
    for name, widget in bound.items():
        if widget.get("class") == "qMRMLNodeComboBox":
            # the application sets the classes of the selector from those of the parameter
            classes = [cls.__name__ for cls in typing.get_args(kinds[name]) or [kinds[name]] if cls is not type(None)]
            offered = [item.text for item in widget.iterfind("property[@name='nodeTypes']/stringlist/string")]
            assert classes == offered, name
        else:
            assert kinds[name] is {"QCheckBox": bool, "QDoubleSpinBox": float}[widget.get("class")], name


def test_only_unions_with_none_and_numbers_with_a_range(module):
    cls = module.TemporalRegistrationParameterNode
    for name, kind in cls._kinds.items():
        assert not typing.get_args(kind) or type(None) in typing.get_args(kind), name
        assert kind is not float or cls._notes[name] or name == "opacity", name


def test_everything_that_was_used_exists_in_slicer(panel, known, spin):
    """Members and signals of widgets, processes and timers that the module's code touches when it is used."""
    import pythonqt

    panel.ui.sampleButton.click()
    quick(panel)
    run(panel, spin)
    for box in (panel.ui.motionCheckBox, panel.ui.labelsCheckBox, panel.ui.jacobianCheckBox):
        box.click()
    panel.ui.chartButton.click()
    assert len(pythonqt.used) > 50
    for cls, name in sorted(pythonqt.used):
        # Qt's own and not listed; the last is of the application's own parent widget
        if cls.endswith("Layout") or cls == "QShortcut" or name == "isEntered":
            continue
        if name == "initViewItemOption":  # Qt 6 asks for an override of it when columns are fitted
            continue
        fact = known[cls]
        assert name in {*fact["members"], *fact["properties"], *fact["signals"]} or name == "connect", (cls, name)
