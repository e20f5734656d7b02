# SPDX-License-Identifier: GPL-2.0
"""Which symbols a C or assembly file of ours defines, and which it uses.

The sources are read, not objects: this works in a fresh clone, before a kernel
was built. gcc -E expands the macros of our own headers. The kernel's headers
are left out, and all of our options count as switched on. A kernel macro that
defines something (DEFINE_PER_CPU and so on) is known here by its name.
"""

import dataclasses
import pathlib
import re
import subprocess
import tempfile

from .common import ROOT, Failure

# Macros of the kernel that define a symbol, and which argument is its name.
_DEFINES = {"DEFINE_PER_CPU": -1, "DEFINE_PER_CPU_PAGE_ALIGNED": -1,
            "DEFINE_PER_CPU_READ_MOSTLY": -1, "DEFINE_PER_CPU_ALIGNED": -1,
            "DEFINE_PER_CPU_SHARED_ALIGNED": -1, "DEFINE_STATIC_KEY_FALSE": 0,
            "DEFINE_STATIC_KEY_TRUE": 0, "DEFINE_STATIC_KEY_FALSE_RO": 0,
            "DEFINE_STATIC_CALL": 0, "DEFINE_STATIC_CALL_NULL": 0,
            "DEFINE_STATIC_CALL_RET0": 0, "DEFINE_SPINLOCK": 0, "DEFINE_RAW_SPINLOCK": 0,
            "DEFINE_MUTEX": 0, "LIST_HEAD": 0, "DECLARE_BITMAP": 0}
# Options that are numbers.
_VALUES = {"CONFIG_PGTABLE_LEVELS": 5}
# What the kernel's macros put in front of the name of a function.
_PREFIX = re.compile(r"^(?:__SC[TK]__|__pfx_|__raw_callee_save_)")
# Words around a name that are not the name: attributes, and what else may stand there.
_NAMELESS = re.compile(
    r"__(?:init\w*|exit\w*|ref\w*|ro_after_init|read_mostly|used|unused|maybe_unused|visible|weak"
    r"|aligned|page_aligned\w*|cacheline_aligned\w*|section|attribute__|percpu|printf|scanf|cold"
    r"|head|always_inline|must_hold|must_check|acquires|releases|kprobes|noreturn|nocfi|pure"
    r"|no_\w+|alloc_size|counted_by|packed)"
    r"|noinstr|asmlinkage|notrace|noinline\w*|inline|volatile|const")
_TOKEN = re.compile(r'[A-Za-z_]\w*|"(?:[^"\\]|\\.)*"|\'(?:[^\'\\]|\\.)*\'|->|\d[\w.]*|[^\s\w]')
_WORD = re.compile(r"[A-Za-z_]\w*")
_ASM_DEFINES = re.compile(
    r"\bSYM_(?:TYPED_)?(?:FUNC|CODE|DATA)(?:_START\w*|_END)?\s*\(\s*(\w+)"
    r"|\bSYM_INNER_LABEL\w*\s*\(\s*(\w+)\s*,\s*SYM_L_GLOBAL|\.globa?l\s+(\w+)")
_OPEN, _CLOSE = "([{", ")]}"


@dataclasses.dataclass
class Source:
    """What one file defines and uses; each name once."""
    path: str                                   # from the root of the tree
    functions: set[str] = dataclasses.field(default_factory=set)
    variables: set[str] = dataclasses.field(default_factory=set)
    # the same that no other file can use
    static_functions: set[str] = dataclasses.field(default_factory=set)
    static_variables: set[str] = dataclasses.field(default_factory=set)
    uses: set[str] = dataclasses.field(default_factory=set)

    @property
    def globals(self) -> set[str]:
        """All that other files can use."""
        return self.functions | self.variables

    @property
    def statics(self) -> set[str]:
        """All that they cannot."""
        return self.static_functions | self.static_variables


def includes(path: pathlib.Path, root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Our own headers that a file includes, in its order."""
    found = []
    for kind, name in re.findall(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]',
                                 path.read_text(encoding="utf-8"), re.M):
        for place in ([path.parent] if kind == '"' else []) + [root / "include"]:
            if (place / name).is_file():
                found.append(place / name)
                break
    return found


def read(names: list[str], root: pathlib.Path = ROOT) -> dict[str, Source]:
    """Read files, given by their paths from the root; by these paths."""
    with tempfile.TemporaryDirectory(prefix="pvops-csource.") as scratch:
        copy = pathlib.Path(scratch)
        options: set[str] = set()
        for place in sorted({"include", *(str(pathlib.PurePosixPath(name).parent)
                                          for name in names)}):
            for path in (root / place).rglob("*.[chS]"):
                options |= _copied(path, copy / path.relative_to(root), root)
        prelude = "".join(f"#define {option} {_VALUES.get(option, 1)}\n"
                          for option in sorted(options))
        prelude += "".join(f"#define IS_{how}(option) 1\n"
                           for how in ("ENABLED", "BUILTIN", "REACHABLE"))
        (copy / "prelude.h").write_text(prelude, encoding="utf-8")
        return {name: _one(name, copy) for name in names}


def _copied(path: pathlib.Path, target: pathlib.Path, root: pathlib.Path) -> set[str]:
    """A file without the includes that are not ours; the options that it names."""
    ours = includes(path, root)

    def keep(match: re.Match) -> str:
        return match[0] if any(str(header).endswith(f"/{match[1]}") for header in ours) else ""

    text = path.read_text(encoding="utf-8")
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(re.sub(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^>"]+)[>"]', keep, text,
                             flags=re.M), encoding="utf-8")
    return set(re.findall(r"\bCONFIG_\w+", text))


def _one(name: str, copy: pathlib.Path) -> Source:
    done = subprocess.run(["gcc", "-E", "-nostdinc", "-D__KERNEL__", "-I", "include",
                           "-include", "prelude.h", name], cwd=copy, capture_output=True,
                          text=True, check=False)
    if done.returncode:
        raise Failure(f"{name}: gcc -E: {done.stderr.strip().splitlines()[0]}")
    own, others = [], []
    where = own
    for line in done.stdout.splitlines():
        if match := re.match(r'# \d+ "([^"]*)"', line):
            where = own if match[1] == name else others
        else:
            where.append(line)
    source = Source(name)
    if name.endswith(".S"):
        text = "\n".join(own)
        source.functions = {next(filter(None, found)) for found in _ASM_DEFINES.findall(text)}
        source.uses = set(_WORD.findall(text)) - source.functions
        return source
    inline: dict[str, set[str]] = {}
    for declaration in _declarations("\n".join(others)):
        name, used, kind = _read(declaration)
        if kind == "function":
            inline[name[0]] = used
    for declaration in _declarations("\n".join(own)):
        found, used, kind = _read(declaration)
        source.uses |= used
        static = "static" in declaration[:_body(declaration)]
        if kind == "function":
            (source.static_functions if static else source.functions).update(found)
        elif kind == "variable":
            (source.static_variables if static else source.variables).update(found)
        elif declaration[0] == "DEFINE_SHOW_ATTRIBUTE":
            source.static_functions.add(f"{declaration[2]}_open")
            source.static_variables.add(f"{declaration[2]}_fops")
    # What an inline function of a header uses counts where it is called.
    todo = [word for word in source.uses if word in inline]
    seen = set(todo)
    while todo:
        used = inline[todo.pop()]
        source.uses |= used
        more = {word for word in used if word in inline} - seen
        seen |= more
        todo += more
    source.uses = {plain(word) for word in source.uses} - source.globals - source.statics
    return source


def plain(symbol: str) -> str:
    """A symbol without what a macro of the kernel put in front of it."""
    return _PREFIX.sub("", symbol)


def _declarations(text: str) -> list[list[str]]:
    """The tokens of each declaration or definition at the level of the file."""
    found: list[list[str]] = []
    now: list[str] = []
    depth, body = 0, False
    for token in _TOKEN.findall(text):
        now.append(token)
        if token in _OPEN:
            if token == "{" and not depth:
                body = _is_function(now[:-1])
            depth += 1
        elif token in _CLOSE:
            depth -= 1
            if token == "}" and not depth and body:
                found.append(now)
                now, body = [], False
        elif token == ";" and not depth:
            if len(now) > 1:
                found.append(now)
            now = []
    return found


def _groups(tokens: list[str]) -> list[tuple[int, int]]:
    """Begin and end of each parenthesis that is in no other and in no brace."""
    found, depth, begin = [], 0, 0
    for number, token in enumerate(tokens):
        if token in _OPEN:
            if not depth:
                begin = number
            depth += 1
        elif token in _CLOSE:
            depth -= 1
            if not depth and token == ")":
                found.append((begin, number))
    return found


def _named_group(tokens: list[str]) -> tuple[int, int] | None:
    """The last parenthesis behind a name that is no attribute's: the parameters."""
    for begin, end in reversed(_groups(tokens)):
        if begin and tokens[begin + 1] != "*" and _WORD.fullmatch(tokens[begin - 1]) and \
                not _NAMELESS.fullmatch(tokens[begin - 1]):
            return begin, end
    return None


def _is_function(head: list[str]) -> bool:
    """Whether a brace behind these tokens begins the body of a function."""
    return _top(head, "=") is None and _named_group(head) is not None


def _body(tokens: list[str]) -> int:
    """Where the body of a function begins, or a value, or nothing more comes."""
    return min((number for number in (_top(tokens, "{"), _top(tokens, "="))
                if number is not None), default=len(tokens))


def _top(tokens: list[str], wanted: str) -> int | None:
    """Where a token stands that is in no parenthesis or brace."""
    depth = 0
    for number, token in enumerate(tokens):
        if token == wanted and not depth:
            return number
        depth += (token in _OPEN) - (token in _CLOSE)
    return None


def _used(tokens: list[str]) -> set[str]:
    """Names in code: no members, no tags; of strings only those of assembly."""
    found = set()
    assembly = depth = 0
    for number, token in enumerate(tokens):
        depth += (token in _OPEN) - (token in _CLOSE)
        if token in ("asm", "__asm__"):
            assembly = depth + 1
        elif assembly and depth < assembly and token == ")":
            assembly = 0
        elif token[0] == '"' and assembly:
            found |= set(_WORD.findall(token))
        elif _WORD.fullmatch(token) and (not number or tokens[number - 1] not in
                                         (".", "->", "struct", "union", "enum", "goto")):
            found.add(token)
    return found


def _read(tokens: list[str]) -> tuple[list[str], set[str], str]:
    """The names that a declaration defines, those it uses, and what it is."""
    if tokens[0] in ("typedef", "extern") and "{" not in tokens:
        return [], set(), "declaration"
    head = tokens[1:] if tokens[0] == "static" else tokens
    if len(head) > 1 and head[1] == "(" and head[0] in _DEFINES:
        begin, end = _groups(head)[0]
        arguments = _split(head[begin + 1:end])
        name = [word for word in arguments[_DEFINES[head[0]]] if _WORD.fullmatch(word)]
        used = _used(head[begin + 1:]) - set(name)
        return name[-1:], used, "variable"
    brace = _top(tokens, "{")
    if tokens[-1] == "}" and brace is not None and _is_function(tokens[:brace]):
        begin, _ = _named_group(tokens[:brace])
        name = tokens[begin - 1]
        return [name], _used(tokens[brace:]) - {name}, "function"
    assigned = _top(tokens, "=")
    if head[0] in ("PV_CALLEE_SAVE_REGS_THUNK", "DEFINE_SHOW_ATTRIBUTE") or \
            re.fullmatch(r"[A-Z_]{4,}|\w+_initcall\w*|early_param|static_assert|asm|__asm__",
                         head[0]):
        return [], set() if head[0].startswith("DECLARE_") else _used(tokens), "macro"
    before = tokens[:assigned] if assigned is not None else tokens[:-1]
    if assigned is None and _named_group(before) is not None:
        return [], set(), "declaration"
    names = []
    for part in _split(tokens[:-1]):
        equals = _top(part, "=")
        part = part[:equals] if equals is not None else part
        bracket = _top(part, "[")
        part = part[:bracket] if bracket is not None else part
        pointer = next((part[n + 2] for n in range(len(part) - 2)
                        if part[n:n + 2] == ["(", "*"]), None)
        if pointer:
            names.append(pointer)
            continue
        while part and (part[-1] == ")" or _NAMELESS.fullmatch(part[-1])):
            if part[-1] == ")":
                part = part[:_groups(part)[-1][0]]
            else:
                part = part[:-1]
        if len(part) > 1 and _WORD.fullmatch(part[-1]) and \
                part[-2] not in ("struct", "union", "enum") or names and part:
            names.append(part[-1])
    used = _used(tokens[assigned:]) if assigned is not None else set()
    return names, used - set(names), "variable"


def _split(tokens: list[str]) -> list[list[str]]:
    """Parts between commas that are in no parenthesis or brace."""
    parts: list[list[str]] = [[]]
    depth = 0
    for token in tokens:
        depth += (token in _OPEN) - (token in _CLOSE)
        if token == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return parts
