# SPDX-License-Identifier: GPL-2.0
"""Results as JUnit XML, which CI systems show. The JSON beside it has more."""

import dataclasses
import pathlib
import re
import xml.etree.ElementTree as xml
from typing import Iterable

from . import common

# XML 1.0 has no form for other control characters, not even an escaped one.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclasses.dataclass
class Case:
    """One result. A case with neither a failure nor a reason for a skip has passed."""
    suite: str
    name: str
    failure: str = ""
    skipped: str = ""
    seconds: float = 0


def document(cases: Iterable[Case]) -> str:
    """The text of the XML file."""
    suites: dict[str, list[Case]] = {}
    for case in cases:
        suites.setdefault(case.suite, []).append(case)
    top = xml.Element("testsuites")
    for name, members in suites.items():
        suite = xml.SubElement(top, "testsuite", {
            "name": _NOT_XML.sub("?", name), "tests": str(len(members)), "errors": "0",
            "failures": str(sum(bool(case.failure) for case in members)),
            "skipped": str(sum(not case.failure and bool(case.skipped) for case in members)),
            "time": f"{sum(case.seconds for case in members):.1f}"})
        for case in members:
            entry = xml.SubElement(suite, "testcase", {
                "classname": _NOT_XML.sub("?", name), "name": _NOT_XML.sub("?", case.name),
                "time": f"{case.seconds:.1f}"})
            for tag, text in (("failure", case.failure), ("skipped", case.skipped)):
                if text:
                    text = _NOT_XML.sub("?", text)
                    xml.SubElement(entry, tag, {"message": text.split("\n")[0]}).text = text
                    break
    xml.indent(top)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + xml.tostring(top, encoding="unicode") + "\n"


def write(beside: pathlib.Path, cases: Iterable[Case]) -> None:
    """Write the XML beside a JSON report; the file appears complete or not at all."""
    # Whoever names a report x.xml gets the JSON there.
    path = beside.with_suffix(".xml") if beside.suffix != ".xml" else beside.with_name(f"{beside.name}.xml")
    path.parent.mkdir(parents=True, exist_ok=True)
    with common.whole(path) as partial:
        partial.write_text(document(cases), encoding="utf-8")
