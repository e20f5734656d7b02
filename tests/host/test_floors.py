# SPDX-License-Identifier: GPL-2.0
"""Each file uses only files below it, and Kbuild lists files in that order."""

import pathlib
import subprocess
import tempfile
import unittest

from tools.pvops import common, csource, floors, lint

BOTTOM = """
#include <linux/percpu.h>
#include "small.h"
DEFINE_PER_CPU(struct small, small_state);
static DEFINE_SPINLOCK(small_lock); /* calls top() */
static const char * const names[] __initconst = { "top", };
int small_count __ro_after_init = 3;
void (*small_hook)(int top);
struct small { int top; };
#ifdef CONFIG_SMALL
__printf(1, 2) __visible noinstr int small_add(int a, ...)
{
	this_cpu_ptr(&small_state)->top = a;
	return small_lock.top + names[0][0];
}
PV_CALLEE_SAVE_REGS_THUNK(small_add);
#endif
DEFINE_SHOW_ATTRIBUTE(small);
"""
TOP = """
#include "small.h"
static int count(void) { return SMALL(count) + small_inline(); }
int __init top(void) { return count(); }
early_initcall(top);
const struct ops small_ops __refconst = { .add = PV_CALLEE_SAVE(small_add), .small_hook = top };
"""
HEADER = """
#include <linux/types.h>
#define SMALL(what) small_##what
extern int small_count;
DECLARE_PER_CPU(struct small, small_state);
int small_add(int a, ...);
static inline int small_unused(void) { return small_hook(1); }
static inline int small_inline(void) { return this_cpu_read(small_state.top); }
"""
ASSEMBLY = """
#include <linux/linkage.h>
SYM_FUNC_START(small_asm)	/* not top */
	call small_add
	RET
SYM_FUNC_END(small_asm)
"""


class Tree(unittest.TestCase):
    """A small tree."""

    FILES: dict[str, str] = {}

    def setUp(self):
        scratch = tempfile.TemporaryDirectory(prefix="pvops-test.")
        self.addCleanup(scratch.cleanup)
        self.root = pathlib.Path(scratch.name)
        for name, text in self.FILES.items():
            self.write(name, text)

    def write(self, name, text):
        """One file of it."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


class Sources(Tree):
    """Reading symbols from C and assembly."""

    FILES = {"d/bottom.c": BOTTOM, "d/top.c": TOP,
             "d/small.h": HEADER, "d/asm.S": ASSEMBLY,
             "include/pvops/x.h": ""}

    def read(self, name):
        """One file of the directory d."""
        return csource.read([f"d/{name}"], self.root)[f"d/{name}"]

    def test_definitions(self):
        """Functions and variables are found, those of macros too, static or not."""
        source = self.read("bottom.c")
        self.assertEqual(({"small_add"}, {"small_state", "small_count", "small_hook"}),
                         (source.functions, source.variables))
        self.assertEqual(({"small_open"}, {"small_lock", "names", "small_fops"}),
                         (source.static_functions, source.static_variables))

    def test_comments_strings_members_and_tags_are_no_uses(self):
        """A name in a comment, a string, of a member or of a tag is no use."""
        self.assertNotIn("top", self.read("bottom.c").uses)
        self.assertNotIn("top", self.read("asm.S").uses)
        self.assertNotIn("small_hook", self.read("top.c").uses)

    def test_macros_and_inline_functions_of_our_headers_are_followed(self):
        """What a macro or inline function uses counts where it is called."""
        source = self.read("top.c")
        self.assertLessEqual({"small_count", "small_state", "small_add"}, source.uses)
        self.assertEqual(({"top"}, {"count"}, {"small_ops"}),
                         (source.functions, source.static_functions, source.variables))

    def test_assembly(self):
        """Symbols of an assembly file and those it names are found."""
        source = self.read("asm.S")
        self.assertEqual({"small_asm"}, source.functions)
        self.assertIn("small_add", source.uses)

    def test_what_gcc_refuses_is_one_line(self):
        """A file that gcc -E refuses is one line."""
        self.write("d/bad.c", "#error no\n")
        with self.assertRaisesRegex(common.Failure, r"^d/bad.c: gcc -E: [^\n]*$"):
            self.read("bad.c")


class Circles(Tree):
    """Finding circles and their symbols."""

    def test_of_symbols(self):
        """A circle is told with its files and the symbols that make it."""
        uses = floors.of_symbols({"a": {"a1", "a2"}, "b": {"b1"}, "c": {"c1"}},
                                 {"a": {"b1", "c1"}, "b": {"a1", "a2", "c1"}, "c": {"memcpy"}})
        self.assertEqual([["a", "b"]], floors.circles(uses))
        self.assertEqual(["2 files use each other in a circle: a b\n"
                          "    a uses b: b1\n    b uses a: a1 a2"], floors.problems(uses))

    def test_two_circles_are_two(self):
        """Circles that are connected in one direction only are two."""
        uses = {"a": {"b": set()}, "b": {"a": set(), "c": set()}, "c": {"d": set()},
                "d": {"e": set()}, "e": {"c": set()}}
        self.assertEqual([["a", "b"], ["c", "d", "e"]], floors.circles(uses))

    def test_objects_and_sources_say_the_same(self):
        """nm on objects and the scan of sources give the same."""
        self.write("d/a.c", "extern int b; int a(void); int a(void) { return b; }\n")
        self.write("d/b.c", "int a(void); int b; int b1(void); int b1(void) { return a(); }\n")
        objects = {}
        for name in ("d/a.c", "d/b.c"):
            objects[name] = (self.root / name).with_suffix(".o")
            done = subprocess.run(["gcc", "-c", self.root / name, "-o", objects[name]],
                                         check=False)
            self.assertEqual(0, done.returncode)
        uses = floors.of_objects(objects)
        self.assertEqual({"d/a.c": {"d/b.c": {"b"}}, "d/b.c": {"d/a.c": {"a"}}}, uses)
        self.assertEqual(uses, floors.of_sources(["d"], self.root))

    def test_headers(self):
        """Headers that include each other are a circle."""
        for name, other in (("a", "b"), ("b", "c"), ("c", "a")):
            self.write(f"include/pvops/{name}.h", f"#include <pvops/{other}.h>\n")
        self.write("d/d.h", '#include "e.h"\n#include <linux/d.h>\n')
        self.write("d/e.h", "#include <pvops/a.h>\n")
        self.assertEqual([[f"include/pvops/{name}.h" for name in "abc"]],
                         floors.circles(floors.of_headers(["include", "d"], self.root)))

    def test_imports_also_inside_of_functions_and_packages(self):
        """Modules that import each other are a circle, wherever the import stands."""
        for name, text in (("__init__", ""), ("a", "from . import b, c\n"),
                           ("b", "import os\ndef f():\n    from .p import d\n    d.f()\n"),
                           ("c", "from .b import f\n"), ("p/__init__", "from . import d\n"),
                           ("p/d", "from .. import a\nfrom ..c import f\n")):
            self.write(f"{name}.py", text)
        uses = floors.of_python(self.root)
        self.assertEqual({"b", "c"}, set(uses["a"]))
        self.assertEqual([["a", "b", "c", "p.d"]], floors.circles(uses))


class Kbuild(Tree):
    """The order of objects in a Kbuild."""

    FILES = {"d/a.c": "int a;\n", "d/b.c": "extern int a; int b(void) { return a; }\n"}

    def problems(self, text):
        """What is wrong with a Kbuild of this text."""
        self.write("d/Kbuild", text)
        return floors.kbuild_problems("d", floors.of_sources(["d"], self.root), self.root)

    def test_good(self):
        """A Kbuild that lists each file after those it uses is good."""
        self.assertEqual([], self.problems("ccflags-y := -Ia.o\nobj-y += a.o\n"
                                           "obj-$(CONFIG_B) += b.o	# not a.o\nCFLAGS_b.o := -DX\n"))

    def test_order(self):
        """A file that is listed before one it uses is a problem."""
        self.assertEqual(["d/Kbuild: d/b.c uses d/a.c, which is listed after it: a"],
                         self.problems("obj-y := b.o\nobj-y += a.o\n"))

    def test_one_object_a_line(self):
        """Two objects on a line are a problem."""
        for text in ("obj-y += a.o b.o\n", "obj-y += a.o \\\n\tb.o\n"):
            found, = self.problems(text)
            self.assertIn("d/Kbuild: more than one object on a line: obj-y += a.o", found)

    def test_every_source_is_listed(self):
        """A source that no line lists is a problem."""
        self.assertEqual(["d/Kbuild: d/b.c is not listed"], self.problems("obj-y += a.o\n"))


class Names(Tree):
    """Prefixes of static functions and variables."""

    FILES = {"d/a.c": "static int __init d_good(void) { return 0; }\nstatic int __d_too;\n"
                      "static int bad(void) { static int local; return local; }\n"
                      "static DEFINE_PER_CPU(int, worse);\nint other;\n",
             "d/a.h": "static inline void inlined(void) { }\nextern int elsewhere;\n"}

    def test_each_without_its_prefix_is_named(self):
        """Each static function and variable without the prefix is a problem."""
        self.assertEqual(["d/a.c: static function bad: its name must begin with d_",
                          "d/a.c: static variable worse: its name must begin with d_",
                          "d/a.h: static function inlined: its name must begin with d_"],
                         lint.unprefixed("d", "d_", self.root))


class OurTree(unittest.TestCase):
    """This tree."""

    def none(self, problems):
        """No problem; or all of them, a line each."""
        if problems:
            self.fail("\n" + "\n".join(problems))

    def test_python_has_no_circle(self):
        """The tools do not import each other in a circle."""
        uses = floors.of_python()
        self.assertGreater(len(uses), 40)
        self.none(floors.problems(uses))

    def test_headers_have_no_circle(self):
        """Our headers do not include each other in a circle."""
        uses = floors.of_headers(floors.HEADER_DIRECTORIES)
        self.assertGreater(len(uses), 15)
        self.none(floors.problems(uses))

    def test_the_kernels_directories_are_floors(self):
        """The kernel's files have no circle, and each Kbuild is their reading order."""
        uses = floors.of_sources(floors.KERNEL_DIRECTORIES)
        self.assertGreater(len(uses), 40)
        self.none(floors.kernel_problems(uses))

    def test_every_backend_is_a_directory_of_floors(self):
        """The table of directories has each backend."""
        self.assertEqual({path.name for path in common.ROOT.glob("*-backend")} | {"arch-x86-paravirt"},
                         set(floors.KERNEL_DIRECTORIES))

    def test_programs_have_no_circle(self):
        """The files of each guest program and of the ROMs have no circle."""
        for directory in floors.program_directories():
            with self.subTest(directory), tempfile.TemporaryDirectory() as scratch:
                objects = floors.program_objects(directory, pathlib.Path(scratch))
                self.assertGreater(len(objects), 1)
                self.none(floors.problems(floors.of_objects(objects)))

    def test_statics_have_their_directorys_prefix(self):
        """Static functions and variables of the kernel's files have their prefix."""
        self.none([problem for directory, prefix in floors.KERNEL_DIRECTORIES.items()
                   for problem in lint.unprefixed(directory, prefix)])


if __name__ == "__main__":
    unittest.main()
