# SPDX-License-Identifier: GPL-2.0
"""The documentation names all messages, options, settings and stages of the code."""

import dataclasses
import pathlib
import re
import subprocess
import tomllib
import unittest

from tools.pvops import bench, benchdata, benchservices, boot, common, kernel, suite, world
from tools.pvops.worlds import description

DOCS = common.ROOT / "Documentation"
PAGES = [common.ROOT / "README.rst", *sorted(DOCS.glob("*.rst"))]


def page(name: str) -> str:
    """A page with its white space reduced, so that line breaks do not matter."""
    return " ".join((DOCS / name).read_text(encoding="utf-8").split())


def sources(*directories: str) -> str:
    """The text of our C files."""
    return "\n".join(path.read_text(encoding="utf-8") for directory in directories
                     for path in sorted((common.ROOT / directory).glob("*.c")))


class Docs(unittest.TestCase):
    """One test for each list that the documentation repeats."""

    def test_pages_begin_with_a_licence_and_parse(self):
        """Each page has an SPDX line and is reStructuredText without a warning."""
        for path in PAGES:
            with self.subTest(path=path.name):
                text = path.read_text(encoding="utf-8")
                self.assertTrue(text.startswith(".. SPDX-License-Identifier: GPL-2.0\n"))
                done = subprocess.run(["/usr/bin/rst2html", "--report=1", "--halt=5", path, "/dev/null"],
                                      capture_output=True, text=True, check=False)
                self.assertEqual("", done.stderr)

    def test_links_lead_somewhere(self):
        """Each link between pages leads to a page."""
        for path in PAGES:
            text = path.read_text(encoding="utf-8")
            links = re.findall(r"<([\w./-]+\.rst)>`_|^__ (\S+\.rst)$", text, re.M)
            for link in links:
                with self.subTest(path=path.name, link=link):
                    self.assertTrue((path.parent / (link[0] or link[1])).is_file())

    def test_every_message_is_explained(self):
        """Each message of the kernel log is in distribution-builders.rst."""
        text = page("distribution-builders.rst").replace("`` ``", " ")
        code = sources("arch-x86-paravirt", "native-backend")
        code = re.sub(r'"\s*\n\s*"', "", code)
        found = re.findall(r'(?:pr_\w+\(|log_decision\(socket, \w+,)\s*"((?:[^"\\]|\\.)*)"', code)
        self.assertGreater(len(found), 8)
        for message in found:
            parts = [part.strip() for part in re.split(r"%\w+|\\n", message) if part.strip(" :();,")]
            for part in parts:
                with self.subTest(message=message):
                    self.assertIn(part, text)

    def test_every_reason_is_explained(self):
        """Each reason for a choice is in distribution-builders.rst."""
        text = page("distribution-builders.rst")
        code = sources("arch-x86-paravirt", "native-backend")
        found = re.findall(r'(?:seq_buf_puts\(&buf,|seq_buf_printf\(&buf,)\s*"([^"]*)"', code)
        self.assertGreater(len(found), 4)
        # Of pvops_set_reason() the whole format: literals, and macros between them.
        code += sources("hypercall-backend", "vmi-backend")
        formats = re.findall(r'pvops_set_reason\([^,"]+,((?:\s*(?:"(?:[^"\\]|\\.)*"|[A-Z_]+))+)', code)
        self.assertGreater(len(formats), 10)
        for text_format in formats:
            found += re.findall(r'"((?:[^"\\]|\\.)*)"', text_format)
        for reason in found:
            for part in (part.strip(" ,") for part in re.split(r'(?:0x)?%\w+|\\"', reason)):
                with self.subTest(reason=reason):
                    self.assertIn(part, text)

    def test_every_option_is_described(self):
        """Each option of Kconfig is in distribution-builders.rst."""
        options = re.findall(r"^(?:menu)?config (\w+)$", (common.ROOT / "Kconfig").read_text(), re.M)
        self.assertGreater(len(options), 3)
        for option in options:
            self.assertIn(f"``CONFIG_{option}``", page("distribution-builders.rst"))

    def test_every_backend_is_named(self):
        """Each name for pv_backend= is in kernel-parameters.rst."""
        code = sources("arch-x86-paravirt", "native-backend")
        names = re.findall(r'INTREE_BACKEND\(\w+, "([\w-]+)"', code) + re.findall(r'\.name = "([\w-]+)"', code)
        self.assertGreater(len(names), 7)
        for name in names:
            self.assertIn(f"``{name}``", page("kernel-parameters.rst"))

    def test_debugfs_keys_are_described(self):
        """Each key in debugfs is in distribution-builders.rst."""
        for key in re.findall(r'seq_printf\(m, "(\w+): %s', sources("arch-x86-paravirt")):
            self.assertIn(f"``{key}``", page("distribution-builders.rst"))

    def test_every_op_is_in_a_table(self):
        """Each read-modify-write op is in overview.rst."""
        ops = re.findall(r"PVOPS_OP\(rmw, (\w+)\)", (common.ROOT / "include/pvops/pv-ops.h").read_text())
        self.assertGreater(len(ops), 8)
        for op in ops:
            self.assertIn(f"``{op}``", page("overview.rst"))

    def test_every_world_and_setting_is_described(self):
        """Each world, setting, kind of machine and kernel is in worlds.rst."""
        text = page("worlds.rst")
        for name in world.names():
            self.assertIn(f"``{name}``", text)
        for cls in (description.World, description.Host, description.Expect):
            for field in dataclasses.fields(cls):
                if field.name not in ("name", "host", "expect"):
                    with self.subTest(field=field.name):
                        self.assertIn(f"``{field.name}``", text)
        for kind in (*description.KINDS, *kernel.FLAVOURS):
            self.assertIn(f"``{kind}``", text)

    def test_boot_json_is_described(self):
        """Each key of boot.json is in worlds.rst."""
        keys = re.findall(r'"(\w+)":', re.search(r"def _record.*?\n\n\n", pathlib.Path(boot.__file__).read_text(), re.S)[0])
        self.assertGreater(len(keys), 10)
        for key in keys:
            with self.subTest(key=key):
                self.assertIn(f"``{key}``", page("worlds.rst"))

    def test_every_stage_suite_and_job_is_described(self):
        """Each stage, KUnit suite and guest job is in testing.rst."""
        text = page("testing.rst")
        stages, _ = suite.load(suite.STAGES)
        for stage in stages:
            with self.subTest(stage=stage.name):
                self.assertIn(f"``{stage.name}``", text)
        for name in (common.ROOT / "kunit/suites.txt").read_text().splitlines():
            if name and not name.startswith("#"):
                self.assertIn(f"``{name}``", text)
        for place in ("tests/guest/jobs", "tests/guest/kselftests/jobs"):
            for job in (common.ROOT / place).iterdir():
                self.assertIn(f"``{job.name}``", text)

    def test_every_benchmark_is_described(self):
        """Each operation, step, variant, load and figure is in benchmarks.rst."""
        text = page("benchmarks.rst")
        variants = tomllib.loads(bench.VARIANTS.read_text(encoding="utf-8"))["variant"]
        operations = {op.removesuffix(benchdata.TWO_THREADS) for op in benchdata.ABOUT}
        for name in (*operations, benchdata.TWO_THREADS, *bench.STEPS, *(one["label"] for one in variants),
                     *(load.name for load in benchservices.load_list()),
                     *(field.name for field in dataclasses.fields(benchdata.Row))):
            with self.subTest(name=name):
                self.assertIn(f"``{name}``", text)

    def test_every_file_named_exists(self):
        """Each file that a page names is there."""
        for path in PAGES:
            for name in re.findall(r"``((?:arch-x86-paravirt|(?:native|hypercall|vmi)-backend|vmi-rom|kunit|include|worlds|bench|tools/pvops|tests|patches/6.12)"
                                   r"/[\w./-]+\.\w+)``", path.read_text(encoding="utf-8")):
                if name in ("kunit/example_test.c", "worlds/example.toml", "tests/textcompare.toml") or "NAME" in name:
                    continue
                with self.subTest(path=path.name, name=name):
                    self.assertTrue((common.ROOT / name).is_file())

    def test_every_make_target_exists(self):
        """Each make target that a page names is there."""
        known = set()
        for path in (common.ROOT / "Makefile", *(common.ROOT / "tools/make").glob("*.mk")):
            known |= set(re.findall(r"^([\w -]+?):(?!=)", path.read_text(), re.M))
        known = {word for words in known for word in words.split()}
        for path in PAGES:
            for target in re.findall(r"(?:``|\t)make ([a-z][\w-]*)", path.read_text(encoding="utf-8")):
                with self.subTest(path=path.name, target=target):
                    self.assertIn(target, known)


if __name__ == "__main__":
    unittest.main()
