# SPDX-License-Identifier: GPL-2.0
"""Write the whole of pvops as one mbox that `git am` takes, for a distribution's tree.

The directory comes first: nothing builds it until the hooks arrive, so that a
bisection can stop at any mail of the series.
"""

import argparse
import email.header
import email.utils
import os
import pathlib
import stat
import subprocess
import sys
import time

from . import hooks
from .hooks import Problem

AUTHOR = "pvops developers <pvops@localhost>"
_FROM = "From 0000000000000000000000000000000000000000 Mon Sep 17 00:00:00 2001"
_DIRECTORY_SUBJECT = "x86/pvops: Add the paravirt backend directory"
_DIRECTORY_BODY = """\
Add arch/x86/pvops: a registry of paravirt backends that probes, selects,
commits and audits what fills pv_ops, and the headers the rest of x86 needs
to see of it. Nothing refers to the directory yet; the patches that follow
do, one reason each."""


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
    return f"{head}\n{body}\n---\n{diff}-- \npvops\n\n"


def series(root: pathlib.Path = hooks.ROOT, date: float | None = None) -> str:
    """The mbox."""
    patches = hooks.read_series(root)
    when = email.utils.formatdate(time.time() if date is None else date)
    total = len(patches) + 1
    diff = ""
    for path, source in sorted(hooks.payload(root).items()):
        executable = bool(source.stat().st_mode & stat.S_IXUSR)
        diff += new_file(path, source.read_bytes(), executable)
    body = f"{_DIRECTORY_BODY}\n\nSigned-off-by: {AUTHOR}"
    mails = [mail(1, total, AUTHOR, when, _DIRECTORY_SUBJECT, body, diff)]
    for number, patch in enumerate(patches, 2):
        subject, body = patch.message()
        if not subject or not body:
            raise Problem(f"{patch.name} has no description (a subject line, an empty line, a reason)")
        mails.append(mail(number, total, patch.author or AUTHOR, when, subject, body, patch.diff))
    return "".join(mails)


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


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-patch", description=__doc__.splitlines()[0])
    parser.add_argument("--out", help="file to write (default build/pvops-6.12.mbox)")
    parser.add_argument("--root", type=pathlib.Path, default=hooks.ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    out = pathlib.Path(options.out or hooks.ROOT / "build/pvops-6.12.mbox")
    try:
        text = series(options.root, _date(options.root))
        out.parent.mkdir(parents=True, exist_ok=True)
        part = out.with_name(out.name + ".part")
        try:
            part.write_text(text, encoding="utf-8")
            os.replace(part, out)
        finally:
            part.unlink(missing_ok=True)
    except Problem as problem:
        print(f"pvops: patch: {problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"pvops: patch: {error.filename or out}: {error.strerror}", file=sys.stderr)
        return 1
    print(f"pvops: {out}: {text.count(_FROM)} mails; apply with: git am {out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
