# SPDX-License-Identifier: GPL-2.0
"""Write pvops as patches: the whole for a distribution's tree, and each part of it by itself.

The forms are mboxes for git am, and a quilt series for debian/patches.

In the whole the directory comes first: nothing builds it until the hooks
arrive, so that a bisection can stop at any mail of the series. A part has its
files first as well, and lets Kbuild and Kconfig see them in its last mail.
"""

import argparse
import dataclasses
import email.header
import email.utils
import os
import pathlib
import re
import stat
import subprocess
import sys
import textwrap
import time

from . import hooks, parts
from .hooks import Patch, Problem

AUTHOR = "pvops developers <pvops@localhost>"
# Where Debian's kernel team keeps such patches, below debian/patches.
QUILT = "features/x86/pvops"
_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_DIRECTORY_SUBJECT = "x86/pvops: Add the paravirt backend directory"
_DIRECTORY_BODY = """\
Add arch/x86/pvops: a registry of paravirt backends that probes, selects,
commits and audits what fills pv_ops, and the headers the rest of x86 needs
to see of it. Nothing refers to the directory yet; the patches that follow
do, one reason each."""


def _header(name: str, value: str) -> str:
    if value.isascii():
        return f"{name}: {value}\n"
    return f"{name}: {email.header.Header(value, 'utf-8', header_name=name).encode()}\n"


def mail(number: int, total: int, author: str, date: str, subject: str, body: str, diff: str) -> str:
    """One message of the mbox."""
    for line in body.splitlines():
        if line.startswith(("From ", "diff -", "Index: ", "---")):
            raise Problem(f"'{subject}': a line of its description starts with '{line.split()[0]}', "
                          "which mail tools take for something else; reword it")
    real, address = email.utils.parseaddr(author)
    if not address:
        raise Problem(f"'{author}' is not an author of the form 'Name <address>'")
    head = _FROM + "\n" + _header("From", f"{real or address} <{address}>") + f"Date: {date}\n"
    head += _header("Subject", f"[PATCH {number}/{total}] {subject}")
    head += "MIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
    head += "Content-Transfer-Encoding: 8bit\n"
    # A cover letter has no diff, and nothing that a diff would be cut off from.
    return f"{head}\n{body}\n" + (f"---\n{diff}" if diff else "\n") + "-- \n6.12\n\n"


@dataclasses.dataclass(frozen=True)
class Change:
    """One patch of the series, as a packager gets it."""
    name: str
    author: str
    subject: str
    body: str
    diff: str


def _change(patch: Patch, author: str) -> Change:
    """A patch of the series, in the name of AUTHOR if it is ours."""
    subject, body = patch.message()
    if not subject or not body:
        raise Problem(f"{patch.name} has no description (a subject line, an empty line, a reason)")
    if patch.author not in (None, AUTHOR):
        if author != AUTHOR:
            body += f"\nSigned-off-by: {author}"
        return Change(patch.name, patch.author, subject, body, patch.diff)
    return Change(patch.name, author, subject, body.replace(AUTHOR, author), patch.diff)


def changes(root: pathlib.Path = hooks.ROOT, author: str = AUTHOR) -> list[Change]:
    """The whole series: the directory, and the patches to existing files."""
    diff = ""
    for path, source in sorted(hooks.payload(root).items()):
        executable = bool(source.stat().st_mode & stat.S_IXUSR)
        diff += parts.new_file(path, source.read_bytes(), executable)
    first = Change("0000-x86-pvops-add-the-directory.patch", author, _DIRECTORY_SUBJECT,
                   f"{_DIRECTORY_BODY}\n\nSigned-off-by: {author}", diff)
    return [first, *(_change(patch, author) for patch in hooks.read_series(root))]


def series(root: pathlib.Path = hooks.ROOT, date: float | None = None, author: str = AUTHOR) -> str:
    """The mbox."""
    when = email.utils.formatdate(time.time() if date is None else date)
    whole = changes(root, author)
    return "".join(mail(number, len(whole), one.author, when, one.subject, one.body, one.diff)
                   for number, one in enumerate(whole, 1))


def quilt(root: pathlib.Path, date: float, author: str = AUTHOR) -> dict[str, str]:
    """File name -> text, for debian/patches: the series with DEP-3 headers."""
    day = time.strftime("%Y-%m-%d", time.gmtime(date))
    files = {"series": ""}
    for one in changes(root, author):
        name = f"{QUILT}/{one.name}"
        files["series"] += f"{name}\n"
        files[name] = (f"From: {one.author}\nSubject: {one.subject}\nForwarded: no\nLast-Update: {day}\n\n"
                       f"{one.body}\n---\n{one.diff}")
    return files


def _size(diffs: list[str]) -> str:
    """How much DIFFS change, as diffstat says it."""
    text = "".join(diffs)
    names = set(re.findall(r"^\+\+\+ (?:b/)?(\S+)", text, re.M)) | set(re.findall(r"^diff --git a/\S+ b/(\S+)", text, re.M))
    plus = len(re.findall(r"^\+(?!\+\+ )", text, re.M))
    minus = len(re.findall(r"^-(?!-- )", text, re.M))
    counts = ((len(names), "file", " changed"), (plus, "insertion", "(+)"), (minus, "deletion", "(-)"))
    return " " + ", ".join(f"{count} {what}{'' if count == 1 else 's'}{end}" for count, what, end in counts if count)


def _cover(part: parts.Part, known: dict[str, parts.Part], contents: list[Change], options: list[str]) -> str:
    """The cover letter: what the author says, and what can be counted."""
    if part.needs:
        needs = "They need " + " and ".join(f"part ({letter}), \"{known[letter].title}\"" for letter in part.needs) + "."
    else:
        needs = "They need no other patches."
    paragraphs = [part.cover.strip("\n"), textwrap.fill(f"These patches are for Linux 6.12. {needs}", 75)]
    if options:
        paragraphs.append(textwrap.fill("Options: " + ", ".join(f"CONFIG_{name}" for name in options) + ".", 75))
    paragraphs.append("\n".join(f"  {one.subject}" for one in contents))
    paragraphs.append(_size([one.diff for one in contents]))
    return "\n\n".join(paragraphs)


def part_series(root: pathlib.Path, listed: list[parts.Part], part: parts.Part, before: list[str], date: float,
                author: str = AUTHOR) -> str:
    """The mbox of PART, for a tree that has the parts BEFORE."""
    when = email.utils.formatdate(date)
    old, new = parts.added(root, listed, before), parts.added(root, listed, [*before, part.letter])
    fresh = "".join(parts.new_file(path, new[path].content, new[path].executable) for path in sorted(new.keys() - old.keys()))
    differ = [path for path in sorted(old) if old[path] != new[path]]
    changed = "".join(parts.changed_file(path, old[path].content, new[path].content) for path in differ)
    if not part.patches:
        fresh, changed = fresh + changed, ""
    sign = f"Signed-off-by: {author}"
    options = parts.options(root, listed, part.letter)
    contents: list[Change] = []
    if fresh:
        subject, body = part.message()
        contents.append(Change("", author, subject, f"{body}\n\n{sign}", fresh))
    contents += [_change(patch, author) for patch in part.patches]
    if changed:
        if not part.build:
            raise Problem(f"{parts.PARTS}: part {part.letter}: 'build' is missing: {', '.join(differ)} must change")
        body = textwrap.fill("Let Kbuild build the files that the first patch has added, and offer " +
                             " and ".join(f"CONFIG_{name}" for name in options) + ".", 75)
        contents.append(Change("", author, part.build, f"{body}\n\n{sign}", changed))
    cover = _cover(part, {one.letter: one for one in listed}, contents, options)
    mails = [mail(0, len(contents), author, when, part.title, cover, "")]
    mails += [mail(number, len(contents), one.author, when, one.subject, one.body, one.diff)
              for number, one in enumerate(contents, 1)]
    return "".join(mails)


def part_mboxes(root: pathlib.Path = hooks.ROOT, letter: str | None = None, date: float | None = None,
                author: str = AUTHOR) -> dict[str, str]:
    """File name -> mbox, of all parts, or of LETTER and what it needs; each applies on top of those before it."""
    listed = parts.read(root)
    chosen = parts.closure(listed, letter) if letter else listed
    when = time.time() if date is None else date
    found = {}
    for number, part in enumerate(chosen):
        before = [one.letter for one in chosen[:number]]
        found[f"{part.stem}.mbox"] = part_series(root, listed, part, before, when, author)
    return found


def _date(root: pathlib.Path) -> float:
    """SOURCE_DATE_EPOCH, else the last commit's time, so that equal input gives equal output."""
    if os.environ.get("SOURCE_DATE_EPOCH", "").isdigit():
        return float(os.environ["SOURCE_DATE_EPOCH"])
    try:
        done = subprocess.run(["git", "-C", str(root), "log", "-1", "--format=%ct"],
                              capture_output=True, text=True, check=True)
        return float(done.stdout)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return time.time()


def _write(out: pathlib.Path, text: str) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    unfinished = out.with_name(out.name + ".part")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, out)
    finally:
        unfinished.unlink(missing_ok=True)


def _author(text: str) -> str:
    real, address = email.utils.parseaddr(text)
    if not re.fullmatch(r"[^@\s]+@[^@\s]+", address) or text != f"{real} <{address}>":
        raise Problem(f"'{text}' is not an author of the form 'Name <address>'")
    return text


def _write_quilt(directory: pathlib.Path, files: dict[str, str]) -> None:
    listed = directory / "series"
    if listed.exists() and any(not line.startswith(f"{QUILT}/") for line in listed.read_text().splitlines() if line.strip()):
        raise Problem(f"{listed}: names other patches; give another OUT=, and add the lines to this file")
    # A patch of an earlier series would be one that no file names.
    for old in (directory / QUILT).glob("*.patch"):
        old.unlink()
    for name, text in files.items():
        _write(directory / name, text)
    print(f"pvops: {directory}: {len(files) - 1} patches; copy features/ to debian/patches and add the lines of "
          "series to debian/patches/series")


def _write_mboxes(options: argparse.Namespace, date: float, author: str) -> None:
    out = pathlib.Path(options.out or hooks.ROOT / "build/pvops-6.12.mbox")
    directory = pathlib.Path(options.parts or hooks.ROOT / "build/patches" / (f"only-{options.part}" if options.part else ""))
    if not options.part:
        text = series(options.root, date, author)
        _write(out, text)
        print(f"pvops: {out}: {text.count(_FROM)} mails; apply with: git am {out}")
    if options.part or options.parts or not options.out:
        mboxes = part_mboxes(options.root, options.part, date, author)
        for name, text in mboxes.items():
            _write(directory / name, text)
        print(f"pvops: {directory}: {len(mboxes)} parts; apply with: git am --empty=drop, in this order: "
              f"{' '.join(mboxes)}")


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-patch", description=__doc__.splitlines()[0])
    parser.add_argument("--format", choices=("git", "quilt"), default="git",
                        help="mboxes for git am, or a directory for debian/patches (default: %(default)s)")
    parser.add_argument("--author", default=AUTHOR, help="author and sign-off, 'Name <address>' (default: %(default)s)")
    parser.add_argument("--out", help="git: write the whole to that file, and no parts (default build/pvops-6.12.mbox, "
                                      "and the parts in build/patches); quilt: that directory (default build/quilt)")
    parser.add_argument("--parts", metavar="DIRECTORY", help="write the parts to that directory")
    parser.add_argument("--part", metavar="LETTER", help="write that part and those that it needs, and nothing else")
    parser.add_argument("--root", type=pathlib.Path, default=hooks.ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    try:
        date = _date(options.root)
        author = _author(options.author)
        if options.format == "git":
            _write_mboxes(options, date, author)
        elif options.part or options.parts:
            raise Problem("the parts are mboxes; there is no quilt form of them")
        else:
            _write_quilt(pathlib.Path(options.out or hooks.ROOT / "build/quilt"), quilt(options.root, date, author))
    except Problem as problem:
        print(f"pvops: patch: {problem}", file=sys.stderr)
        return 1
    except OSError as error:
        where = error.filename or options.out or hooks.ROOT / "build"
        print(f"pvops: patch: {where}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
