# SPDX-License-Identifier: GPL-2.0
"""The series in parts: which patches and which of our files each of them has.

patches/6.12/parts.toml lists the parts in the order in which they are applied.
A part can also be applied with only the parts that it needs. The files Kbuild
and Kconfig then lack the lines that belong to files which are not there.
"""

import dataclasses
import difflib
import fnmatch
import pathlib
import re
import stat
import tomllib

from collections.abc import Callable, Collection, Iterable, Mapping

from . import hooks
from .hooks import ROOT, Patch, Problem

PARTS = "patches/6.12/parts.toml"
REST = "*"
_KEYS = {"letter", "name", "title", "needs", "patches", "files", "kconfig", "add", "build", "cover", "worlds"}
_ENTRY = re.compile(r"^(?:menu)?config (\w+)$")
_NEXT = re.compile(r"^(?:(?:menu)?config|if|endif|menu|endmenu|choice|endchoice|comment|source)\b|^#")
_OBJECTS = re.compile(r"^(obj-\S+[ \t]*[:+]?=)[ \t]*(.*)$", re.S)
_OF_OBJECT = re.compile(r"^[A-Z_]+_([a-z][\w-]*)\.o[ \t]*[:+?]?=")


@dataclasses.dataclass(frozen=True)
class Part:
    """One part of the series."""

    letter: str
    name: str
    title: str
    cover: str
    needs: tuple[str, ...] = ()
    patches: tuple[Patch, ...] = ()
    files: tuple[str, ...] = ()
    kconfig: tuple[str, ...] = ()
    add: str = ""
    build: str = ""
    worlds: tuple[str, ...] = ()

    @property
    def stem(self) -> str:
        """Name of its mbox, less the suffix."""
        return f"{self.letter}-{self.name}"

    def message(self) -> tuple[str, str]:
        """Subject and body of the mail that adds the files."""
        subject, _, body = self.add.strip("\n").partition("\n")
        return subject, body.strip("\n")


@dataclasses.dataclass(frozen=True)
class Added:
    """A file of ours as the kernel tree gets it."""

    content: bytes
    executable: bool


def _part(entry: Mapping, named: Mapping[str, Patch]) -> Part:
    where = f"{PARTS}: part {entry.get('letter', '?')}"
    for key in entry:
        if key not in _KEYS:
            raise Problem(f"{where}: {key} is not known")
    for key in ("letter", "name", "title", "cover"):
        if not isinstance(entry.get(key), str) or not entry[key].strip():
            raise Problem(f"{where}: {key} is missing")
    if not re.fullmatch(r"[a-z]", entry["letter"]) or not re.fullmatch(r"[a-z0-9-]+", entry["name"]):
        raise Problem(f"{where}: a letter and a name of letters, figures and hyphens are needed")
    for name in entry.get("patches", ()):
        if name not in named:
            raise Problem(f"{where}: {name} is not in the series")
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    values["patches"] = tuple(named[name] for name in entry.get("patches", ()))
    part = Part(**values)
    if part.files and not all(part.message()):
        raise Problem(f"{where}: 'add' needs a subject, an empty line and a reason")
    return part


def read(root: pathlib.Path = ROOT) -> list[Part]:
    """The parts in the order in which they are applied."""
    path = root / PARTS
    try:
        listed = tomllib.loads(path.read_text(encoding="utf-8"))["part"]
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from error
    except (KeyError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Problem(f"{path}: {error}") from error
    series = hooks.read_series(root)
    found = [_part(entry, {patch.name: patch for patch in series}) for entry in listed]
    order = [patch.name for patch in series]
    seen: list[str] = []
    for part in found:
        if part.letter in seen:
            raise Problem(f"{PARTS}: there are two parts {part.letter}")
        for letter in part.needs:
            if letter not in seen:
                raise Problem(f"{PARTS}: part {part.letter} needs {letter}, which does not stand before it")
        places = [order.index(patch.name) for patch in part.patches]
        if places != sorted(places):
            raise Problem(f"{PARTS}: part {part.letter}: its patches are not in the order of the series")
        seen.append(part.letter)
    named = [patch.name for part in found for patch in part.patches]
    for name in order:
        if named.count(name) != 1:
            raise Problem(f"{PARTS}: {name} is in {named.count(name)} parts, and must be in one")
    return found


def closure(parts: Iterable[Part], letter: str) -> list[Part]:
    """A part and all that it needs, in order."""
    parts = list(parts)
    known = {part.letter: part for part in parts}
    if letter not in known:
        raise Problem(f"there is no part {letter}; there are {', '.join(known)}")
    wanted, ask = set(), [letter]
    while ask:
        one = ask.pop()
        if one not in wanted:
            wanted.add(one)
            ask += known[one].needs
    return [part for part in parts if part.letter in wanted]


def _owner(parts: Iterable[Part], name: str, key: str) -> str:
    """Letter of the part that has NAME, a file or an entry of Kconfig."""
    rest, found = [], []
    for part in parts:
        patterns = getattr(part, key)
        if REST in patterns:
            rest.append(part.letter)
        elif any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns):
            found.append(part.letter)
    found = found or rest
    if len(found) != 1:
        raise Problem(f"{PARTS}: {name} is in {len(found)} parts ({', '.join(found) or 'none'}), and must be in one")
    return found[0]


def _check_patterns(parts: Iterable[Part], names: Collection[str], key: str) -> None:
    for part in parts:
        for pattern in getattr(part, key):
            if not fnmatch.filter(names, pattern):
                raise Problem(f"{PARTS}: part {part.letter}: there is no {pattern}")


def entries(kconfig: str) -> list[str]:
    """Names of the entries of a Kconfig file."""
    return [found[1] for line in kconfig.splitlines() if (found := _ENTRY.match(line))]


def reduce_kconfig(text: str, present: Collection[str]) -> str:
    """TEXT without the entries that are not PRESENT."""
    kept, keep = [], True
    for line in text.splitlines(keepends=True):
        if _NEXT.match(line):
            found = _ENTRY.match(line.rstrip("\n"))
            keep = not found or found[1] in present
        if keep:
            kept.append(line)
    return "".join(kept)


def _statements(text: str) -> list[str]:
    """The lines of a makefile, continuations joined to what they continue."""
    found: list[str] = []
    for line in text.splitlines(keepends=True):
        if found and found[-1].endswith("\\\n"):
            found[-1] += line
        else:
            found.append(line)
    return found


def reduce_kbuild(text: str, place: str, present: Collection[str]) -> str:
    """TEXT, the Kbuild of the directory PLACE, without what has no source file that is PRESENT.

    A comment goes with the lines that it stands above.
    """
    top = f"{place}/" if place else ""

    def there(name: str) -> bool:
        if name.endswith("/"):
            return any(path.startswith(top + name) for path in present)
        if name.endswith(".o") and "$" not in name:
            return any(f"{top}{name[:-2]}{suffix}" in present for suffix in (".c", ".S"))
        return True

    blocks: list[tuple[list[str], list[str]]] = []      # comments, and what they stand above
    for statement in _statements(text):
        comment, blank = statement.startswith("#"), not statement.strip()
        if not blocks or blank or not "".join(blocks[-1][1] or blocks[-1][0]).strip() or (comment and blocks[-1][1]):
            blocks.append(([], []))
        blocks[-1][0 if comment else 1].append(statement)
    kept: list[str] = []
    for comments, statements in blocks:
        left = [_reduced(statement, there) for statement in statements]
        if any(left) or not statements:
            kept += comments + left
    result = "".join(kept)
    return result if result == text else re.sub(r"\n{3,}", "\n\n", result).rstrip("\n") + "\n"


def _reduced(statement: str, there: Callable[[str], bool]) -> str:
    """A line of a Kbuild without the objects that are not there; nothing if none is."""
    if found := _OBJECTS.match(statement.rstrip("\n")):
        value, hash_sign, remark = found[2].replace("\\\n", " ").partition("#")
        names = value.split()
        left = [name for name in names if there(name)]
        if len(left) == len(names):
            return statement
        return f"{found[1]} {' '.join(left)}{' ' + hash_sign + remark if remark else ''}\n" if left else ""
    if (found := _OF_OBJECT.match(statement)) and not there(f"{found[1]}.o"):
        return ""
    return statement


def options(root: pathlib.Path, parts: list[Part], letter: str) -> list[str]:
    """Entries of Kconfig that come with the part LETTER."""
    return [name for name in entries((root / "Kconfig").read_text(encoding="utf-8"))
            if _owner(parts, name, "kconfig") == letter]


def added(root: pathlib.Path, parts: list[Part], letters: Collection[str]) -> dict[str, Added]:
    """Path in the kernel tree -> file, of the parts LETTERS of PARTS."""
    payload = hooks.payload(root)
    ours = {path: source.relative_to(root).as_posix() for path, source in payload.items()}
    kconfig = entries((root / "Kconfig").read_text(encoding="utf-8"))
    _check_patterns(parts, list(ours.values()), "files")
    _check_patterns(parts, kconfig, "kconfig")
    present = {name for name in ours.values() if _owner(parts, name, "files") in letters}
    offered = {name for name in kconfig if _owner(parts, name, "kconfig") in letters}
    found = {}
    for path, source in payload.items():
        name = ours[path]
        if name not in present:
            continue
        content = source.read_bytes()
        if name == "Kconfig":
            content = reduce_kconfig(content.decode(), offered).encode()
        elif name.split("/")[-1] == "Kbuild":
            content = reduce_kbuild(content.decode(), name.rpartition("/")[0], present).encode()
        found[path] = Added(content, bool(source.stat().st_mode & stat.S_IXUSR))
    return found


def apply(files: Mapping[str, bytes | None], root: pathlib.Path, parts: list[Part], letters: Collection[str]
          ) -> dict[str, bytes | None]:
    """FILES, what a kernel tree has of the files that the series touches, with the parts LETTERS."""
    result = hooks.apply_all(files, [patch for part in parts if part.letter in letters for patch in part.patches])
    result.update({path: one.content for path, one in added(root, parts, letters).items()})
    return result


def new_file(path: str, content: bytes, executable: bool) -> str:
    """A diff that creates PATH."""
    mode = "100755" if executable else "100644"
    text = f"diff --git a/{path} b/{path}\nnew file mode {mode}\n"
    lines = content.decode("utf-8").split("\n")
    unfinished = lines.pop()
    count = len(lines) + bool(unfinished)
    if not count:
        # git am wants to see an index line where there is no hunk.
        return text + "index 0000000000..e69de29bb2\n"
    span = "1" if count == 1 else f"1,{count}"
    text += f"--- /dev/null\n+++ b/{path}\n@@ -0,0 +{span} @@\n"
    text += "".join(f"+{line}\n" for line in lines)
    if unfinished:
        text += f"+{unfinished}\n\\ No newline at end of file\n"
    return text


def changed_file(path: str, old: bytes, new: bytes) -> str:
    """A diff that changes PATH. Both contents end with a newline, as Kbuild and Kconfig do."""
    lines = difflib.unified_diff(old.decode().splitlines(True), new.decode().splitlines(True),
                                 f"a/{path}", f"b/{path}")
    return f"diff --git a/{path} b/{path}\n" + "".join(lines)
