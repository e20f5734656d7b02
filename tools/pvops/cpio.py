# SPDX-License-Identifier: GPL-2.0
"""Write the kernel's initramfs format (newc); the same input gives the same bytes.

cpio would need root for device nodes, and would store owners and times, which
differ from one machine to another.
"""

import gzip
import os
import pathlib
import stat

from . import common

ALIGN = 4


class Archive:
    """An initramfs being put together."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._known: set[str] = set()

    def _entry(self, name: str, mode: int, data: bytes = b"",
               rdev: tuple[int, int] = (0, 0)) -> None:
        name = name.strip("/")
        if name in self._known:
            return
        parent = os.path.dirname(name)
        if parent and parent not in self._known:
            self.directory(parent)
        self._known.add(name)
        self._append(name, mode, data, rdev, len(self._known))

    def _append(self, name: str, mode: int, data: bytes, rdev: tuple[int, int],
                inode: int) -> None:
        raw = os.fsencode(name) + b"\0"
        fields = (inode, mode, 0, 0, 2 if stat.S_ISDIR(mode) else 1, 0, len(data),
                  0, 0, *rdev, len(raw), 0)
        header = b"070701" + b"".join(b"%08X" % field for field in fields)
        self._parts.append(_padded(header + raw) + _padded(data))

    def directory(self, name: str, mode: int = 0o755) -> None:
        """A directory; parents are made as needed."""
        self._entry(name, stat.S_IFDIR | mode)

    def file(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """A file with the given content."""
        self._entry(name, stat.S_IFREG | mode, data)

    def copy(self, name: str, source: pathlib.Path, mode: int | None = None) -> None:
        """A file of this machine; a symbolic link is followed."""
        keep = 0o755 if os.access(source, os.X_OK) else 0o644
        self.file(name, source.read_bytes(), mode or keep)

    def link(self, name: str, target: str) -> None:
        """A symbolic link."""
        self._entry(name, stat.S_IFLNK | 0o777, os.fsencode(target))

    def device(self, name: str, major: int, minor: int) -> None:
        """A character device."""
        self._entry(name, stat.S_IFCHR | 0o600, rdev=(major, minor))

    def tree(self, source: pathlib.Path, prefix: str = "") -> None:
        """A directory with all its contents; symbolic links stay links."""
        for path in sorted(source.rglob("*")):
            name = f"{prefix}/{path.relative_to(source)}"
            if path.is_symlink():
                self.link(name, os.readlink(path))
            elif path.is_dir():
                self.directory(name)
            elif path.is_file():
                self.copy(name, path)

    def content(self, compress: bool = True) -> bytes:
        """The archive, padded so that another archive can follow."""
        self._append("TRAILER!!!", 0, b"", (0, 0), 0)
        data = b"".join(self._parts)
        self._parts.pop()
        if compress:
            data = gzip.compress(data, compresslevel=6, mtime=0)
        return _padded(data)

    def write(self, path: pathlib.Path, compress: bool = True) -> pathlib.Path:
        """Write the archive; the file appears complete or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        with common.whole(path, path.with_name(f"{path.name}.{os.getpid()}")) as partial:
            partial.write_bytes(self.content(compress))
        return path


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % ALIGN)
