"""On what a benchmark ran: processor, memory, system, and the versions of all that takes part."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

PACKAGES = ("temporal-registration", "numpy", "scipy", "torch", "SimpleITK", "antspyx", "itk-elastix", "picsl-greedy")


def machine() -> dict[str, object]:
    """What to print: a name, and what it is here."""
    processor = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            processor = next(
                (line.split(":", 1)[1].strip() for line in file if line.startswith("model name")), processor
            )
        memory = f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GB"
    except (OSError, ValueError, AttributeError):
        memory = "unknown"
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    revision = "unknown"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty"]
        revision = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return {
        "revision": revision,
        "processor": f"{processor}, {os.cpu_count()} cores, {memory}; one thread is used",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in versions.items()),
    }
