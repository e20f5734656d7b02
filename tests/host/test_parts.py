# SPDX-License-Identifier: GPL-2.0
"""The series in parts: each has its own, all together are the whole, and none names what is not there."""

import pathlib
import re
import subprocess
import tempfile
import unittest

from tests.host import trees
from tools.pvops import common, hooks, integrate, mailseries, partboot, parts, world

KCONFIG = """# SPDX-License-Identifier: GPL-2.0
menuconfig PVOPS
	bool "pvops"
	help
	  The config of all.

if PVOPS

config PVOPS_MORE
	bool "more"
	depends on PVOPS

config PVOPS_LAST
	bool "last"

endif # PVOPS
"""

KBUILD = """# SPDX-License-Identifier: GPL-2.0

# Built always.
obj-y += one.o two.o
# Sits in the middle.
obj-$(CONFIG_PVOPS_MORE) += more.o
obj-$(CONFIG_PVOPS_LAST) += last.o

# More is special,
# as is well known.
CFLAGS_more.o := -DMORE \\
		 -DMORE_YET
CFLAGS_REMOVE_more.o := -pg
"""

PARTS = """# SPDX-License-Identifier: GPL-2.0
[[part]]
letter = "c"
name = "fixes"
title = "mm: Fixes"
patches = ["memory-1.patch", "memory-2.patch"]
cover = "They fix."

[[part]]
letter = "e"
name = "base"
title = "x86/pvops: Base"
patches = ["kbuild.patch"]
files = ["*"]
kconfig = ["*"]
add = "x86/pvops: Add the base\\n\\nIt is needed."
cover = "It is the base."

[[part]]
letter = "f"
name = "more"
title = "x86/pvops: More"
needs = ["e"]
patches = ["paravirt.patch"]
files = ["vmi-backend/*", "arch-x86-paravirt/more.c"]
kconfig = ["PVOPS_MORE"]
add = "x86/pvops: Add more\\n\\nMore is needed."
build = "x86/pvops: Build more"
cover = "There is more."

[[part]]
letter = "g"
name = "last"
title = "x86/pvops: Last"
needs = ["e"]
files = ["arch-x86-paravirt/last.S"]
kconfig = ["PVOPS_LAST"]
add = "x86/pvops: Add the last\\n\\nThe last is needed."
cover = "This is the last."
"""


def git(top: pathlib.Path, *arguments) -> str:
    """Run git in TOP."""
    done = subprocess.run(["git", "-c", "user.name=T", "-c", "user.email=t@example.org", *map(str, arguments)],
                          cwd=top, capture_output=True, text=True, check=False)
    if done.returncode:
        raise AssertionError(done.stdout + done.stderr)
    return done.stdout


def named_and_absent(top: pathlib.Path) -> list[str]:
    """The Kbuild files below TOP that name what is not there."""
    ours = top / hooks.TARGET
    present = {path.relative_to(ours).as_posix() for path in ours.rglob("*") if path.is_file()}
    return [name for name in sorted(present) if name.rpartition("/")[2] == "Kbuild" and
            parts.reduce_kbuild((ours / name).read_text(), name.rpartition("/")[0], present) != (ours / name).read_text()]


class Base(unittest.TestCase):
    """A made-up pvops tree of four parts, and a made-up kernel."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-parts.")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.root = trees.pvops(self.scratch / "pvops")
        header = trees.KERNEL["arch/x86/include/asm/paravirt.h"]
        trees.write(self.root, {
            "Kconfig": KCONFIG,
            "Kbuild": "obj-y += arch-x86-paravirt/\nobj-$(CONFIG_PVOPS_MORE) += vmi-backend/\n",
            "vmi-backend/Kbuild": "obj-y += all.o\n",
            "vmi-backend/all.c": "/* all */\n",
            "arch-x86-paravirt/Kbuild": KBUILD,
            **{f"arch-x86-paravirt/{name}": f"/* {name} */\n" for name in ("one.c", "two.c", "more.c", "last.S")},
            "patches/6.12/parts.toml": PARTS,
            "patches/6.12/series": "kbuild.patch\nmemory-1.patch\nmemory-2.patch\nparavirt.patch\n",
            "patches/6.12/paravirt.patch": trees.patch("arch/x86/include/asm/paravirt.h", header,
                                                       header.replace("line 7 ", "pvops 7 "), "x86: More"),
        })

    def kernel(self, name):
        top = trees.kernel(self.scratch / name)
        git(top, "init", "-q")
        git(top, "add", "-A")
        git(top, "commit", "-qm", "base")
        return top

    def am(self, top, mboxes):
        for name, text in mboxes.items():
            (self.scratch / name).write_text(text)
            git(top, "am", "-q", "--empty=drop", self.scratch / name)

    def refused(self, pattern, old, new):
        path = self.root / parts.PARTS
        text = path.read_text()
        self.assertIn(old, text)
        path.write_text(text.replace(old, new, 1))
        with self.assertRaisesRegex(hooks.Problem, pattern) as caught:
            mailseries.part_mboxes(self.root)
        self.assertNotIn("\n", str(caught.exception))


class Mails(Base):
    """What git makes of them."""

    def test_all_parts_are_the_whole(self):
        """All parts one after another give the same tree as the whole series."""
        sum_of_parts, whole = self.kernel("parts"), self.kernel("whole")
        self.am(sum_of_parts, mailseries.part_mboxes(self.root))
        self.am(whole, {"whole.mbox": mailseries.series(self.root, 1.0)})
        self.assertEqual(trees.snapshot(whole), trees.snapshot(sum_of_parts))
        other = trees.kernel(self.scratch / "other")
        integrate.integrate(other, root=self.root)
        want = trees.snapshot(other)
        want.pop(integrate.RECORD)
        self.assertEqual(want, trees.snapshot(sum_of_parts))

    def test_a_part_has_what_it_needs_and_no_more(self):
        """A part applied alone has its own files and those of the parts that it needs."""
        for letter, has, lacks in (("c", (), ("Kconfig",)),
                                   ("f", ("Kconfig", "arch-x86-paravirt/more.c"), ("arch-x86-paravirt/last.S",)),
                                   ("g", ("Kconfig", "arch-x86-paravirt/last.S"), ("arch-x86-paravirt/more.c",))):
            with self.subTest(part=letter):
                top = self.kernel(f"only-{letter}")
                self.am(top, mailseries.part_mboxes(self.root, letter))
                for name in has:
                    self.assertTrue((top / hooks.TARGET / name).is_file())
                for name in lacks:
                    self.assertFalse((top / hooks.TARGET / name).exists())
                self.assertEqual([], named_and_absent(top))

    def test_what_python_makes_is_what_git_makes(self):
        """parts.apply() gives the files that git am gives."""
        top = self.kernel("git")
        self.am(top, mailseries.part_mboxes(self.root, "g"))
        listed = parts.read(self.root)
        before = {name: text.encode() for name, text in trees.KERNEL.items()}
        made = parts.apply(before, self.root, listed, [part.letter for part in parts.closure(listed, "g")])
        self.assertEqual(made, {name: (top / name).read_bytes() for name in made})

    def test_every_mail_leaves_a_tree_that_names_only_what_is_there(self):
        """After each mail, Kbuild and Kconfig name only files that exist."""
        top = self.kernel("steps")
        self.am(top, mailseries.part_mboxes(self.root))
        subjects = git(top, "log", "--format=%s").splitlines()
        self.assertEqual(["x86/pvops: Add the last", "x86/pvops: Build more", "x86: More", "x86/pvops: Add more",
                          "x86: Build pvops", "x86/pvops: Add the base", "mm: Second, größer", "mm: First", "base"],
                         subjects)
        for commit in git(top, "log", "--format=%h").split():
            git(top, "checkout", "-q", commit)
            self.assertEqual([], named_and_absent(top))
            kconfig = top / hooks.TARGET / "Kconfig"
            offered = parts.entries(kconfig.read_text()) if kconfig.exists() else []
            self.assertEqual("PVOPS_MORE" in offered,
                             "more.o" in (top / hooks.TARGET / "arch-x86-paravirt/Kbuild").read_text() if offered else False)

    def test_cover_letter(self):
        """The cover letter has the subject, what the part needs, its options and its mails."""
        mbox = mailseries.part_mboxes(self.root, date=1.0)["f-more.mbox"]
        cover = mbox.split(mailseries._FROM)[1]
        for said in ("Subject: [PATCH 0/3] x86/pvops: More\n", "There is more.", 'part (e), "x86/pvops: Base"',
                     "Options: CONFIG_PVOPS_MORE.", "  x86: More\n", " 7 files changed, "):
            self.assertIn(said, cover)
        self.assertNotIn("\n---\n", cover)
        self.assertIn("CONFIG_PVOPS_MORE", mbox.split("Build more\n")[-1])
        self.assertEqual(mbox, mailseries.part_mboxes(self.root, date=1.0)["f-more.mbox"])

    def test_command_line(self):
        """The command writes all parts, or one with what it needs, and refuses an unknown part."""
        for arguments, names in (([], ["c-fixes.mbox", "e-base.mbox", "f-more.mbox", "g-last.mbox"]),
                                 (["--part", "g"], ["e-base.mbox", "g-last.mbox"])):
            with self.subTest(arguments=arguments):
                out, directory = self.scratch / "out.mbox", self.scratch / f"parts{len(arguments)}"
                out.unlink(missing_ok=True)
                done = trees.run("mailseries", "--root", str(self.root), "--out", str(out), "--parts", str(directory), *arguments)
                self.assertEqual((0, ""), (done.returncode, done.stderr))
                self.assertEqual(names, sorted(path.name for path in directory.iterdir()))
                self.assertEqual(not arguments, out.exists())
        done = trees.run("mailseries", "--root", str(self.root), "--part", "z", "--parts", str(self.scratch))
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"\Apvops: patch: there is no part z; there are c, e, f, g\n\Z")

    def test_quilt_form(self):
        """The quilt form has a header of DEP-3 on each patch, and quilt's series names them all."""
        out = self.scratch / "quilt"
        stale = out / mailseries.QUILT / "0099-of-an-earlier-time.patch"
        stale.parent.mkdir(parents=True)
        stale.write_text("")
        done = trees.run("mailseries", "--root", str(self.root), "--format", "quilt", "--out", str(out),
                         "--author", "Ann Onym <ann@example.org>")
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        self.assertFalse(stale.exists())
        names = (out / "series").read_text().splitlines()
        self.assertEqual(sorted(path.name for path in stale.parent.iterdir()), [pathlib.Path(name).name for name in names])
        self.assertEqual(len(hooks.read_series(self.root)) + 1, len(names))
        for name in names:
            header, _, rest = (out / name).read_text().partition("\n\n")
            self.assertRegex(header, r"\AFrom: Ann Onym <ann@example\.org>\nSubject: .+\nForwarded: no\n"
                                     r"Last-Update: \d{4}-\d\d-\d\d\Z")
            self.assertRegex(rest, r"\n---\n(diff --git a/|--- a/)")

    def test_quilt_form_replaces_no_other_series(self):
        """A series that names other patches is left alone, and one of ours is replaced."""
        out = self.scratch / "patches"
        for _ in range(2):
            done = trees.run("mailseries", "--root", str(self.root), "--format", "quilt", "--out", str(out))
            self.assertEqual((0, ""), (done.returncode, done.stderr))
        with open(out / "series", "a") as series:
            series.write("bugfix/x86/other.patch\n")
        before = trees.snapshot(out)
        done = trees.run("mailseries", "--root", str(self.root), "--format", "quilt", "--out", str(out))
        self.assertEqual(1, done.returncode)
        self.assertRegex(done.stderr, r"\Apvops: patch: \S+/series: names other patches; .*\n\Z")
        self.assertEqual(before, trees.snapshot(out))

    def test_author(self):
        """A distributor signs our patches, and signs those of others besides."""
        ann = "Ann Onym <ann@example.org>"
        for text in (mailseries.series(self.root, 1.0, ann), *mailseries.part_mboxes(self.root, date=1.0, author=ann).values()):
            self.assertNotIn(mailseries.AUTHOR, text)
        self.assertIn(f"\nSigned-off-by: {ann}\n", mailseries.series(self.root, 1.0, ann))
        other = hooks.Patch("x.patch", "From: Bob <bob@example.org>\nSubject: mm: Mend\n\nIt was broken.\n\n"
                                       "Signed-off-by: Bob <bob@example.org>\n---\ndiff --git a/x b/x\n")
        made = mailseries._change(other, ann)
        self.assertEqual("Bob <bob@example.org>", made.author)
        self.assertTrue(made.body.endswith(f"Signed-off-by: Bob <bob@example.org>\nSigned-off-by: {ann}"))
        for wrong in ("nobody", "Ann", "<>", "Ann <ann>", "Ann <a@b> x", "Ann <a b@c>"):
            with self.subTest(author=wrong):
                done = trees.run("mailseries", "--root", str(self.root), "--author", wrong, "--out", str(self.scratch / "no"))
                self.assertEqual((1, f"pvops: patch: '{wrong}' is not an author of the form 'Name <address>'\n"),
                                 (done.returncode, done.stderr))
        done = trees.run("mailseries", "--root", str(self.root), "--format", "quilt", "--part", "g")
        self.assertEqual("pvops: patch: the parts are mboxes; there is no quilt form of them\n", done.stderr)


class Bad(Base):
    """A list of parts that does not fit the tree is named in one line."""

    def test_patch_in_no_part(self):
        """A patch of the series that no part lists is an error."""
        self.refused(r"memory-2\.patch is in 0 parts", ', "memory-2.patch"', "")

    def test_patch_in_two_parts(self):
        """A patch that two parts list is an error."""
        self.refused(r"memory-1\.patch is in 2 parts", '"kbuild.patch"', '"kbuild.patch", "memory-1.patch"')

    def test_patch_that_is_not_in_the_series(self):
        """A part that lists an unknown patch is an error."""
        self.refused(r"part c: other\.patch is not in the series", "memory-1.patch", "other.patch")

    def test_order_of_patches(self):
        """The patches of a part stand in the order of the series."""
        self.refused("not in the order of the series", '"memory-1.patch", "memory-2.patch"', '"memory-2.patch", "memory-1.patch"')

    def test_order_of_parts(self):
        """A part stands after the parts that it needs."""
        self.refused("part e needs f, which does not stand before it", 'title = "x86/pvops: Base"', 'title = "B"\nneeds = ["f"]')

    def test_file_that_is_gone(self):
        """A part that lists a file that does not exist is an error."""
        self.refused("part f: there is no arch-x86-paravirt/gone.c", "arch-x86-paravirt/more.c", "arch-x86-paravirt/gone.c")

    def test_file_in_two_parts(self):
        """A file that two parts list is an error."""
        self.refused(r"last\.S is in 2 parts \(f, g\)", '"vmi-backend/*"', '"arch-x86-paravirt/l*"')

    def test_entry_that_is_gone(self):
        """A part that lists an unknown Kconfig entry is an error."""
        self.refused("part f: there is no PVOPS_GONE", '"PVOPS_MORE"', '"PVOPS_GONE"')

    def test_no_mail_that_builds(self):
        """A part with files of its own must say how they are built."""
        self.refused("part f: 'build' is missing", 'build = "x86/pvops: Build more"\n', "")

    def test_unknown_key(self):
        """A misspelt key is an error."""
        self.refused("part c: colour is not known", 'name = "fixes"', 'name = "fixes"\ncolour = "red"')

    def test_not_toml(self):
        """A file that is not TOML is an error of one line."""
        self.refused(r"parts\.toml: ", '[[part]]', '[[part')


class Reduce(unittest.TestCase):
    """Lines that go with the files that are not there."""

    PRESENT = {"a/one.c", "a/two.c", "a/more.c", "a/last.S"}

    def kbuild(self, *absent):
        return parts.reduce_kbuild(KBUILD, "a", self.PRESENT - set(absent))

    def test_nothing_absent(self):
        """If all files are there, Kbuild and Kconfig stay as they are."""
        self.assertEqual(KBUILD, self.kbuild())
        self.assertEqual(KCONFIG, parts.reduce_kconfig(KCONFIG, ("PVOPS", "PVOPS_MORE", "PVOPS_LAST")))

    def test_a_name_of_several(self):
        """Only the absent one of several objects of a line is removed."""
        self.assertEqual(KBUILD.replace("one.o two.o", "two.o"), self.kbuild("a/one.c"))

    def test_flags_and_comments_go_too(self):
        """The compiler flags of an absent file and the comment above its line are removed."""
        text = self.kbuild("a/more.c")
        self.assertNotIn("more", text.replace("CONFIG_PVOPS_MORE", "").lower())
        self.assertNotIn("special", text)
        self.assertIn("# Sits in the middle.\nobj-$(CONFIG_PVOPS_LAST) += last.o\n", text)
        self.assertTrue(text.endswith("last.o\n"))

    def test_a_comment_stays_with_what_is_left_of_its_lines(self):
        """A comment stays as long as one object below it does."""
        self.assertIn("# Built always.\nobj-y += one.o\n", self.kbuild("a/two.c"))
        self.assertNotIn("middle", self.kbuild("a/more.c", "a/last.S"))
        self.assertIn("# Built always.", self.kbuild("a/more.c", "a/last.S"))

    def test_a_remark_on_the_line(self):
        """A remark at the end of a line stays with the line and is no file name."""
        text = "obj-y += one.o gone.o\t# see two.o\nobj-y += gone.o # gone.o\nobj-y += two.o # gone.o\n"
        self.assertEqual("obj-y += one.o # see two.o\nobj-y += two.o # gone.o\n",
                         parts.reduce_kbuild(text, "a", self.PRESENT))

    def test_directories(self):
        """The line of a directory without files is removed."""
        self.assertEqual("obj-y += a/\n", parts.reduce_kbuild("obj-y += a/\nobj-y += b/\n", "", {"a/Kbuild"}))

    def test_kconfig(self):
        """Kconfig keeps the entries of the chosen parts and the menu around them."""
        text = parts.reduce_kconfig(KCONFIG, ("PVOPS", "PVOPS_LAST"))
        self.assertEqual(KCONFIG.replace('config PVOPS_MORE\n\tbool "more"\n\tdepends on PVOPS\n\n', ""), text)


class Real(unittest.TestCase):
    """The parts of this tree."""

    @classmethod
    def setUpClass(cls):
        cls.parts = parts.read()
        cls.payload = hooks.payload()

    def test_all_parts_together_are_the_tree(self):
        """The files of all parts are the files that integration copies."""
        made = parts.added(common.ROOT, self.parts, [part.letter for part in self.parts])
        self.assertEqual({path: source.read_bytes() for path, source in self.payload.items()},
                         {path: one.content for path, one in made.items()})

    def test_parts_that_need_nothing_of_ours_have_no_word_of_it(self):
        """A part that stands alone does not mention pvops in any of its mails."""
        alone = {part.letter for part in self.parts if not part.needs and not part.files}
        self.assertIn("c", alone)
        mboxes = mailseries.part_mboxes(date=1.0)
        for part in self.parts:
            with self.subTest(part=part.letter):
                self.assertEqual(part.letter in alone, bool(part.patches) and all(patch.stands_alone for patch in part.patches))
                if part.letter in alone:
                    said = re.sub(r"^(From|Signed-off-by): .*$", "", mboxes[f"{part.stem}.mbox"], flags=re.M)
                    self.assertNotIn("pvops", said.lower())

    def test_patches_that_stand_alone_are_in_such_a_part(self):
        """A patch that says that it stands alone is in a part that needs no other."""
        for part in self.parts:
            for patch in part.patches:
                with self.subTest(patch=patch.name):
                    self.assertEqual(patch.stands_alone, not part.needs and not part.files)

    def test_generic_code_does_not_know_our_options(self):
        """No patch asks for CONFIG_PVOPS outside headers of x86."""
        for patch in hooks.read_series():
            if not any(path.startswith("arch/x86/") and path.endswith(".h") for path in patch.files()):
                self.assertNotIn("IS_ENABLED(CONFIG_PVOPS", patch.diff, patch.name)

    def test_what_a_part_includes_is_there(self):
        """Each header that a file of a part includes is in that part or in one that it needs."""
        ours = {path: path.split("/include/", 1)[1] for path in self.payload if "/include/" in path}
        everywhere = set(ours.values())
        for part in self.parts:
            made = parts.added(common.ROOT, self.parts, [one.letter for one in parts.closure(self.parts, part.letter)])
            there = {ours[path] for path in made if path in ours}
            for path, one in made.items():
                if not path.endswith((".c", ".h", ".S")):
                    continue
                text = one.content.decode()
                for name in re.findall(r"^\s*#\s*include <([\w/.-]+)>", text, re.M):
                    with self.subTest(part=part.letter, path=path, name=name):
                        self.assertFalse(name in everywhere and name not in there)
                for name in re.findall(r'^\s*#\s*include "([\w/.-]+)"', text, re.M):
                    known = [other for other in self.payload if other.endswith(f"/{name}")]
                    with self.subTest(part=part.letter, path=path, name=name):
                        self.assertTrue(not known or any(other in made for other in known))

    def test_patches_include_what_is_there(self):
        """Each header of ours that a patch includes is in its part or in one that it needs."""
        for part in self.parts:
            made = parts.added(common.ROOT, self.parts, [one.letter for one in parts.closure(self.parts, part.letter)])
            for patch in part.patches:
                for name in re.findall(r"^\+#include <(asm/pvops[\w.-]*)>", patch.diff, re.M):
                    with self.subTest(part=part.letter, patch=patch.name):
                        self.assertIn(f"arch/x86/include/{name}", made)

    def test_options_that_a_part_names_are_there(self):
        """Each option that a part names is in that part or in one that it needs."""
        everything = set(parts.entries((common.ROOT / "Kconfig").read_text()))
        for part in self.parts:
            made = parts.added(common.ROOT, self.parts, [one.letter for one in parts.closure(self.parts, part.letter)])
            if not made:
                continue
            text = made[f"{hooks.TARGET}/Kconfig"].content.decode()
            there = set(parts.entries(text))
            named = set(re.findall(r"\bPVOPS\w*", " ".join(re.findall(r"^\t(?:depends on|select|default|bool).*$", text, re.M))))
            with self.subTest(part=part.letter):
                self.assertLessEqual(named & everything, there)
            for patch in part.patches:
                with self.subTest(part=part.letter, patch=patch.name):
                    options = set(re.findall(r"^\+.*?CONFIG_(PVOPS\w*)", patch.diff, re.M)) & everything
                    if not patch.files()[0].startswith("Documentation/"):
                        self.assertLessEqual(options, there)

    def test_every_kbuild_names_only_what_is_there(self):
        """Each Kbuild of a part names only objects whose source is there."""
        for part in self.parts:
            made = parts.added(common.ROOT, self.parts, [one.letter for one in parts.closure(self.parts, part.letter)])
            present = {path.removeprefix(f"{hooks.TARGET}/") for path in made}
            for path, one in made.items():
                if path.endswith("/Kbuild"):
                    text, place = one.content.decode(), path.removeprefix(f"{hooks.TARGET}/").rpartition("/")[0]
                    with self.subTest(part=part.letter, path=path):
                        self.assertEqual(text, parts.reduce_kbuild(text, place, present))
                        for name in re.findall(r"[\w-]+\.o\b", "".join(re.findall(r"^obj-[^#\n]*", text, re.M))):
                            self.assertTrue({f"{place}/{name[:-2]}.c", f"{place}/{name[:-2]}.S"} & present, name)

    def test_documentation_has_them(self):
        """The table of parts and the loop in distribution-builders.rst are those of parts.toml."""
        text = (common.ROOT / "Documentation/distribution-builders.rst").read_text(encoding="utf-8")
        stems = [part.stem for part in self.parts]
        loop = re.search(r"for part in (.*?);", text, re.S)[1].replace("\\", " ").split()
        self.assertEqual(stems, loop)
        rows: list[list[str]] = []
        for line in re.search(r"^part  what.*?\n=[= ]+\n(.*?)\n====", text, re.S | re.M)[1].splitlines():
            cells = [line[start:end].strip() for start, end in ((0, 6), (37, 53), (53, 99))]
            if cells[0]:
                rows.append(cells)
            else:
                rows[-1] = [" ".join(pair).strip() for pair in zip(rows[-1], cells)]
        found = {}
        for letter, needs, named in rows:
            numbers = []
            for first, last in re.findall(r"(\d{4})(?: to (\d{4}))?", named):
                numbers += [f"{number:04}" for number in range(int(first), int(last or first) + 1)]
            found[letter] = [needs.replace("nothing", ""), numbers]
        self.assertEqual({part.letter: [", ".join(part.needs), [patch.name[:4] for patch in part.patches]]
                          for part in self.parts}, found)

    def test_worlds_are_there(self):
        """Each part names worlds to boot it in, and there are such worlds."""
        for part in self.parts:
            with self.subTest(part=part.letter):
                self.assertTrue(part.worlds)
                self.assertLessEqual(set(part.worlds), set(world.names()))

    def test_options_follow_the_part(self):
        """The configuration of a part has the options that its Kconfig offers, and no other."""
        top = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory(prefix="pvops-parts.")))
        for letter in ("c", "e", "f"):
            chosen = [one.letter for one in parts.closure(self.parts, letter)]
            for path, one in parts.added(common.ROOT, self.parts, chosen).items():
                (top / letter / path).parent.mkdir(parents=True, exist_ok=True)
                (top / letter / path).write_bytes(one.content)
            text = partboot.configuration(top / letter, top / f"{letter}.config").read_text()
            with self.subTest(part=letter):
                self.assertEqual(letter != "c", "CONFIG_PVOPS=y" in text)
                self.assertEqual(letter == "f", "CONFIG_PVOPS_HYPERCALL=y" in text)
                self.assertNotIn("CONFIG_PVOPS_VMI", text)
                self.assertEqual(letter == "f", "pvops_hypercall" in partboot.suites(top / letter))
                self.assertEqual(letter != "c", "pvops_choose" in partboot.suites(top / letter))

    def test_letters_can_be_mailed(self):
        """The lines of the cover letters are no longer than mail allows."""
        for name, mbox in mailseries.part_mboxes(date=1.0).items():
            letter = mbox.split(mailseries._FROM)[1]
            self.assertRegex(letter, r"Subject: \[PATCH 0/\d+\] ")
            for line in letter.splitlines():
                with self.subTest(name=name):
                    self.assertLessEqual(len(line), 75 if not line.startswith("Subject:") else 90)


if __name__ == "__main__":
    unittest.main()
