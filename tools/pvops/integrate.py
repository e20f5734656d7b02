# SPDX-License-Identifier: GPL-2.0
"""Put our directory and hooks into a Linux 6.12 tree, and take them out again.

The tree changes only if all of the integration is possible. The hooks are tried
on copies. The new files are written beside the old ones and then renamed into
place. If one rename fails, the earlier ones are undone. A record in the tree
(RECORD) contains the original files and the patches as they were applied.
Therefore the tree is restored exactly, even if our series has changed since.
"""

import argparse
import base64
import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import re
import shutil
import signal
import stat
import sys
import tempfile
import zlib

from typing import Iterator

from . import hooks
from .hooks import Problem

RECORD = f"{hooks.TARGET}/.pvops-integrated"
FORMAT = 1
_STAGE = ".pvops-stage."
# Files that a build inside the source tree leaves in our directory; we remove them.
_BUILT = re.compile(r"(\.(o|a|ko|mod|mod\.c|s|i|lst|order|symvers|cmd|d|dwo|gcno)$)")


def digest(content: bytes) -> str:
    """The hash that represents a file's content in the record."""
    return hashlib.sha256(content).hexdigest()


def _pack(content: bytes) -> str:
    return base64.b64encode(zlib.compress(content, 9)).decode()


def _unpack(packed: str) -> bytes:
    return zlib.decompress(base64.b64decode(packed))


@dataclasses.dataclass
class Record:
    """What an integration did to a tree.

    The record lists for each path all contents that we may have left there. While
    a refresh is under way there are two, and either of them can be taken out.
    """

    kernel: str
    link: bool
    busy: bool
    patches: list[hooks.Patch]
    originals: dict[str, bytes | None]
    left: dict[str, list[str]]
    added: dict[str, list[str]]
    directories: list[str]

    def dump(self) -> bytes:
        """The record as a file of the tree, with a checksum over itself."""
        body = {
            "format": FORMAT, "kernel": self.kernel, "link": self.link, "busy": self.busy,
            "patches": [[patch.name, _pack(patch.text.encode())] for patch in self.patches],
            "originals": {path: None if content is None else _pack(content)
                          for path, content in sorted(self.originals.items())},
            "left": self.left, "added": self.added, "directories": self.directories,
        }
        text = json.dumps(body, indent=1, sort_keys=True)
        return f"{digest(text.encode())}\n{text}\n".encode()

    @classmethod
    def load(cls, path: pathlib.Path) -> "Record | None":
        """The tree's record; None if there is none."""
        try:
            raw = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Problem(f"{path}: {error.strerror}") from error
        checksum, _, text = raw.partition(b"\n")
        if checksum.decode(errors="replace") != digest(text.rstrip(b"\n")):
            raise Problem(f"{path} is damaged, so what was changed in this tree is not known; "
                          "start again from a clean tree")
        body = json.loads(text)
        if body["format"] != FORMAT:
            raise Problem(f"{path} has format {body['format']}, this tool knows {FORMAT}; "
                          "take it out with the tool that put it in")
        return cls(body["kernel"], body["link"], body["busy"],
                   [hooks.Patch(name, _unpack(text).decode()) for name, text in body["patches"]],
                   {name: None if packed is None else _unpack(packed)
                    for name, packed in body["originals"].items()},
                   body["left"], body["added"], body["directories"])


# A planned state of one path: bytes of a regular file, a link's target, or None.
@dataclasses.dataclass(frozen=True)
class Wanted:
    """The planned state of a path."""

    content: bytes | None = None
    link: str | None = None
    mode: int = 0o644

    @property
    def mark(self) -> str:
        """This state, as the record names it."""
        if self.link is not None:
            return f"link:{self.link}"
        return "absent" if self.content is None else digest(self.content)


def mark(path: pathlib.Path) -> str:
    """The present state of PATH, as the record would name it."""
    try:
        if path.is_symlink():
            return f"link:{os.readlink(path)}"
        return digest(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except IsADirectoryError:
        return "directory"
    except OSError as error:
        raise Problem(f"{path}: {error.strerror}") from error


class Changes:
    """A set of changes of files; all of them are made, or none."""

    def __init__(self, kdir: pathlib.Path):
        self.kdir = kdir
        self.wanted: dict[str, Wanted] = {}

    def want(self, path: str, wanted: Wanted) -> None:
        """Plan PATH; a path in that state already keeps its time, for make."""
        if mark(self.kdir / path) != wanted.mark:
            self.wanted[path] = wanted

    def _check_space(self) -> None:
        block = 4096
        need = sum(2 * block + len(wanted.content or b"") for wanted in self.wanted.values())
        state = os.statvfs(self.kdir)
        if state.f_flag & os.ST_RDONLY:
            raise Problem(f"{self.kdir} is on a read-only file system")
        free = state.f_bavail * state.f_frsize
        if free < need:
            raise Problem(f"{self.kdir}: no disk space ({need // 1024} KiB needed, "
                          f"{free // 1024} KiB free); nothing was changed")

    def _check_access(self) -> None:
        for path in self.wanted:
            place = (self.kdir / path).parent
            while not place.exists():
                place = place.parent
            if not os.access(place, os.W_OK | os.X_OK):
                raise Problem(f"cannot write in {place}; nothing was changed")

    def commit(self, first: dict[str, Wanted], last: dict[str, Wanted]) -> list[str]:
        """Make the changes, FIRST before and LAST after them (two states of the record).

        Returns the directories that were made.
        """
        steps = [*first.items(), *self.wanted.items(), *last.items()]
        self._check_space()
        self._check_access()
        made: list[pathlib.Path] = []
        undo: list[tuple[pathlib.Path, pathlib.Path | None]] = []
        stage = None
        try:
            stage = pathlib.Path(tempfile.mkdtemp(prefix=_STAGE, dir=self.kdir))
            for number, (_, wanted) in enumerate(steps):
                self._prepare(stage / f"new{number}", wanted)
            for number, (path, wanted) in enumerate(steps):
                target = self.kdir / path
                self._directories(target.parent, made)
                saved: pathlib.Path | None = stage / f"old{number}"
                if os.path.lexists(target):
                    # Link the old file under a second name, so that the path always exists.
                    os.link(target, saved, follow_symlinks=False)
                else:
                    saved = None
                undo.append((target, saved))
                if wanted.mark == "absent":
                    target.unlink(missing_ok=True)
                else:
                    os.replace(stage / f"new{number}", target)
        except BaseException as error:
            kept = self._roll_back(undo, made)
            if isinstance(error, OSError):
                state = "nothing was changed" if not kept else f"could not restore {', '.join(kept)}"
                name = error.filename2 or error.filename or self.kdir
                raise Problem(f"{name}: {error.strerror}; {state}") from error
            raise
        finally:
            if stage is not None:
                shutil.rmtree(stage, ignore_errors=True)
        return [place.relative_to(self.kdir).as_posix() for place in made]

    @staticmethod
    def _prepare(path: pathlib.Path, wanted: Wanted) -> None:
        if wanted.link is not None:
            os.symlink(wanted.link, path)
        elif wanted.content is not None:
            with open(path, "wb") as file:
                file.write(wanted.content)
                file.flush()
                # Blocks may be allocated late. A full disk must fail here, not in rename().
                os.fsync(file.fileno())
            path.chmod(wanted.mode)

    @staticmethod
    def _directories(place: pathlib.Path, made: list[pathlib.Path]) -> None:
        missing = []
        while not place.exists():
            missing.append(place)
            place = place.parent
        for path in reversed(missing):
            path.mkdir()
            made.append(path)

    @staticmethod
    def _roll_back(undo: list[tuple[pathlib.Path, pathlib.Path | None]],
                   made: list[pathlib.Path]) -> list[str]:
        kept = []
        for target, saved in reversed(undo):
            try:
                if saved is None:
                    target.unlink(missing_ok=True)
                elif saved.exists() or saved.is_symlink():
                    # If both are names of one file, rename() does nothing: the path was not changed.
                    os.replace(saved, target)
            except OSError:
                kept.append(str(target))
        for place in reversed(made):
            with contextlib.suppress(OSError):
                place.rmdir()
        return kept


@contextlib.contextmanager
def _locked(kdir: pathlib.Path) -> Iterator[None]:
    """One integration at a time per tree."""
    handle = os.open(kdir, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Problem(f"{kdir}: another integration is under way") from error
        # The lock is ours, so these files were left by a run that was killed.
        for dead in kdir.glob(f"{_STAGE}*"):
            shutil.rmtree(dead, ignore_errors=True)
        yield
    finally:
        os.close(handle)


def _mode(path: pathlib.Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return 0o644


def _check_foreign(kdir: pathlib.Path, patches: list[hooks.Patch], added: dict[str, pathlib.Path]
                   ) -> None:
    """Refuse a tree that has parts of pvops but no record."""
    current = hooks.read_tree(kdir, hooks.hooked_files(patches))
    there = hooks.applied(current, patches)
    if there:
        names = ", ".join(patch.name for patch in there)
        raise Problem(f"{kdir} is half-patched: it has {len(there)} of {len(patches)} hooks ({names}) "
                      f"but no {RECORD}; take those out with patch -R, or start from a clean tree")
    if os.path.lexists(kdir / hooks.TARGET):
        raise Problem(f"{kdir} has {hooks.TARGET} but no {RECORD}: not put there by this tool, or "
                      "left half-removed; remove that directory, or start from a clean tree")
    clash = [path for path in added if os.path.lexists(kdir / path)]
    if clash:
        raise Problem(f"{kdir} already has {', '.join(clash)}; remove it, or start from a clean tree")


def _edited(kdir: pathlib.Path, known: dict[str, list[str]]) -> list[str]:
    return [path for path, marks in known.items() if mark(kdir / path) not in [*marks, "absent"]]


def _bases(kdir: pathlib.Path, record: Record) -> dict[str, bytes | None]:
    """The hooked files without our hooks: the originals, with changes of the user.

    If a user has changed a file after the integration, the hooks are taken out by
    reversing the patches. If that is impossible, the error names the file.
    """
    current = hooks.read_tree(kdir, record.originals)
    result: dict[str, bytes | None] = {}
    foreign = []
    for path, original in record.originals.items():
        content = current[path]
        now = "absent" if content is None else digest(content)
        was = "absent" if original is None else digest(original)
        if now == was or now in record.left.get(path, []):
            result[path] = original
        else:
            foreign.append(path)
    if not foreign:
        return result
    if record.busy:
        raise Problem(f"{kdir}: an integration was interrupted and these files were changed since: "
                      f"{', '.join(foreign)}; start again from a clean tree")
    try:
        clean = dict(current)
        # Files that the user did not change are handled in the same way.
        for patch in reversed(record.patches):
            clean = hooks.apply(clean, patch, reverse=True)
    except hooks.DoesNotApply as error:
        raise Problem(f"{kdir}: {', '.join(foreign)} changed since the integration, so that "
                      f"{error.patch.name} cannot be taken out; undo that change first") from error
    for path in foreign:
        result[path] = clean[path]
    return result


def integrate(kdir: pathlib.Path, link: bool = False, root: pathlib.Path = hooks.ROOT) -> str:
    """Integrate into KDIR, or update an integration; returns what was done, as text."""
    kdir = kdir.resolve()
    kernel = hooks.check_kernel(kdir)
    patches = hooks.read_series(root)
    added = hooks.payload(root)
    links = [path for path in hooks.hooked_files(patches) if (kdir / path).is_symlink()]
    if links:
        raise Problem(f"{kdir}: {', '.join(links)} is a symbolic link; hooks go into real files only")
    with _locked(kdir):
        record = Record.load(kdir / RECORD)
        if record is None:
            _check_foreign(kdir, patches, added)
            originals = hooks.read_tree(kdir, hooks.hooked_files(patches))
        else:
            originals = _refreshable(kdir, record, patches, added)
        hooked = hooks.apply_all(originals, patches)
        changes = Changes(kdir)
        for path, content in hooked.items():
            changes.want(path, Wanted(content, mode=_mode(kdir / path)))
        for path, source in added.items():
            changes.want(path, _wanted_copy(source, link))
        stale = [path for path in (record.added if record else {}) if path not in added]
        for path in stale:
            changes.want(path, Wanted())
        new = Record(kernel, link, False, patches,
                     {path: originals[path] for path in hooks.hooked_files(patches)},
                     {path: [digest(content)] if content is not None else ["absent"]
                      for path, content in hooked.items() if path in hooks.hooked_files(patches)},
                     {path: [_wanted_copy(source, link).mark] for path, source in added.items()},
                     record.directories if record else _new_directories(kdir, added))
        return _write(kdir, record, new, changes)


def _wanted_copy(source: pathlib.Path, link: bool) -> Wanted:
    if link:
        return Wanted(link=str(source.resolve()))
    executable = bool(source.stat().st_mode & stat.S_IXUSR)
    return Wanted(source.read_bytes(), mode=0o755 if executable else 0o644)


def _new_directories(kdir: pathlib.Path, added: dict[str, pathlib.Path]) -> list[str]:
    found = set()
    for path in added:
        for place in pathlib.PurePosixPath(path).parents:
            if not (kdir / place).exists():
                found.add(place.as_posix())
    return sorted(found)


def _refreshable(kdir: pathlib.Path, record: Record, patches: list[hooks.Patch],
                 added: dict[str, pathlib.Path]) -> dict[str, bytes | None]:
    """The tree without our hooks; a Problem if it differs from the record."""
    again = f"run 'make deintegrate KDIR={kdir}' and integrate again"
    if record.busy:
        raise Problem(f"{kdir}: an integration was interrupted here; {again}")
    current = hooks.read_tree(kdir, record.originals)
    undone = [path for path, content in current.items() if content == record.originals[path]
              and (digest(content) if content is not None else "absent") not in record.left[path]]
    if undone:
        raise Problem(f"{kdir} is half-patched: {', '.join(undone)} lost its hooks since; {again}")
    # If our file has the same change as the file in the tree, there is no conflict.
    edited = [path for path in _edited(kdir, record.added)
              if path not in added or mark(kdir / path) != _wanted_copy(added[path], False).mark]
    if edited:
        raise Problem(f"{kdir}: changed since the integration: {', '.join(edited)}; "
                      "move your change away (or into the pvops tree) and run again")
    originals = _bases(kdir, record)
    for path in hooks.hooked_files(patches):
        if path not in originals:
            originals.update(hooks.read_tree(kdir, [path]))
    return originals


def _write(kdir: pathlib.Path, old: Record | None, new: Record, changes: Changes) -> str:
    """Make CHANGES; the record says first that they are under way, then that they are made."""
    for made in _new_directories(kdir, {path: kdir for path in new.added}):
        if made not in new.directories:
            new.directories.append(made)
    final = new.dump()
    if not changes.wanted and old is not None and mark(kdir / RECORD) == digest(final):
        return f"{kdir}: already integrated (Linux {new.kernel}, {len(new.patches)} hooks)"
    busy = dataclasses.replace(new, busy=True)
    if old is not None:
        busy.originals = {**old.originals, **new.originals}
        busy.left = {path: sorted({*old.left.get(path, []), *new.left.get(path, [])})
                     for path in busy.originals}
        busy.added = {path: sorted({*old.added.get(path, []), *new.added.get(path, [])})
                      for path in {**old.added, **new.added}}
    changes.commit({RECORD: Wanted(busy.dump())}, {RECORD: Wanted(final)})
    count = len(changes.wanted)
    if old is None:
        return (f"{kdir}: integrated into Linux {new.kernel}: {len(new.patches)} hooks in "
                f"{len(new.originals)} files, {len(new.added)} files added")
    return f"{kdir}: refreshed, {count} file{'s' if count != 1 else ''} changed"


def deintegrate(kdir: pathlib.Path) -> str:
    """Take pvops out of KDIR; the original files are restored byte by byte."""
    kdir = kdir.resolve()
    hooks.check_kernel(kdir)
    with _locked(kdir):
        record = Record.load(kdir / RECORD)
        if record is None:
            if os.path.lexists(kdir / hooks.TARGET):
                raise Problem(f"{kdir} has {hooks.TARGET} but no {RECORD}: it was not put there by "
                              "this tool, which cannot take it out exactly")
            return f"{kdir}: not integrated, nothing to do"
        edited = _edited(kdir, record.added)
        if edited:
            raise Problem(f"{kdir}: changed since the integration: {', '.join(edited)}; "
                          "move your change away and run again")
        changes = Changes(kdir)
        bases = _bases(kdir, record)
        for path, content in bases.items():
            changes.want(path, Wanted(content, mode=_mode(kdir / path)))
        for path in record.added:
            changes.want(path, Wanted())
        changes.commit({}, {RECORD: Wanted()})
        strange = [path for path, content in hooks.read_tree(kdir, bases).items()
                   if content != bases[path]]
        if strange:
            raise Problem(f"{kdir}: {', '.join(strange)} is not as before the integration; "
                          "check the disk and the file system")
        left = _remove_directories(kdir, record.directories)
        kept = [path for path, content in bases.items() if content != record.originals[path]]
        text = f"{kdir}: taken out, {len(bases)} files as they were"
        if kept:
            text += f"; your own changes in {', '.join(kept)} were kept"
        if left:
            text += f"; not ours and left alone: {', '.join(left)}"
        return text


def _remove_directories(kdir: pathlib.Path, directories: list[str]) -> list[str]:
    """Remove our directories and build products in them; return other files there."""
    left = []
    for name in sorted(directories, key=len, reverse=True):
        place = kdir / name
        if not place.is_dir():
            continue
        for path in place.iterdir():
            if path.is_file() and _BUILT.search(path.name):
                path.unlink()
        try:
            place.rmdir()
        except OSError:
            left += [path.relative_to(kdir).as_posix() for path in place.iterdir() if path.is_file()]
    return left


def _interrupted(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(signal.Signals(number).name)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="pvops-integrate", description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=("integrate", "deintegrate"))
    parser.add_argument("kdir", help="top of a Linux 6.12 source tree")
    parser.add_argument("--link", action="store_true",
                        help="symbolic links instead of copies, for development")
    parser.add_argument("--root", type=pathlib.Path, default=hooks.ROOT, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        if not options.kdir:
            raise Problem(f"which tree? make {options.action} KDIR=/path/to/linux-6.12")
        kdir = pathlib.Path(options.kdir)
        if options.action == "integrate":
            said = integrate(kdir, options.link, options.root)
        else:
            said = deintegrate(kdir)
    except Problem as problem:
        print(f"pvops: {options.action}: {problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"pvops: {options.action}: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"pvops: {options.action}: interrupted; nothing was changed", file=sys.stderr)
        return 130
    print(f"pvops: {said}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
