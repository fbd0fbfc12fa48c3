#!/usr/bin/env python3
"""Prints cargo's arguments for the integration tests of a suite: unit, bus or e2e.

A test target belongs to the suite of its crate; `arch` and `sim` have recipes of their own.
"""

import json
import subprocess
import sys

SUITES = {
    "unit": ["skein-schema", "skein-cel", "skein-hub-core", "skein-agent-core"],
    "bus": ["skein-nats", "skein-hub", "skein-agent", "skein"],
    "e2e": ["skein-tests"],
}
OWN_RECIPE = {"arch", "sim"}

if len(sys.argv) != 2 or sys.argv[1] not in SUITES:
    sys.exit(f"usage: suite.py {'|'.join(SUITES)}")
metadata = json.loads(subprocess.run(
    ["cargo", "metadata", "--locked", "--no-deps", "--format-version", "1"],
    check=True, stdout=subprocess.PIPE,
).stdout)
names = sorted({
    target["name"]
    for package in metadata["packages"] if package["name"] in SUITES[sys.argv[1]]
    for target in package["targets"] if "test" in target["kind"] and target["name"] not in OWN_RECIPE
})
print(" ".join(f"--test {name}" for name in names))
