"""Reads what a suite reported: pytest's XML, or the lines that support/recorder.py writes."""

import json
import re
import xml.etree.ElementTree

# SQLAlchemy names its classes after the server that it found.
DIALECT = r"_(mysql|mariadb)\+\w+?(_\d+)+(?=\.|$)"


def read(path):
    """{test: (passed | failed | skipped, message)}; empty when the suite did not get as far as reporting."""
    if not path.exists():
        return {}
    return junit(path) if path.suffix == ".xml" else lines(path)


def junit(path):
    found = {}
    for case in xml.etree.ElementTree.parse(path).getroot().iter("testcase"):
        name = re.sub(DIALECT, "", f"{case.get('classname')}.{case.get('name')}")
        bad = [child for child in case if child.tag in ("failure", "error")]
        if bad:
            found[name] = ("failed", f"{bad[0].get('message') or ''}\n{bad[0].text or ''}"[-4000:])
        elif name not in found:
            skipped = case.find("skipped")
            found[name] = ("passed", "") if skipped is None else ("skipped", skipped.get("message") or "")
    return found


def lines(path):
    """A test that reports twice (a subtest, then the end) keeps its worst outcome."""
    found = {}
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if found.get(entry["test"], ("",))[0] != "failed":
            found[entry["test"]] = (entry["outcome"], entry["message"])
    return found
