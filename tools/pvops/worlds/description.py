# SPDX-License-Identifier: GPL-2.0
"""A world as it is described in worlds/NAME.toml, and the checks on a description."""

import dataclasses
import re
import tomllib

from .. import common, rom
from ..common import Failure

WORLDS = common.ROOT / "worlds"
KINDS = ("direct", "kvm", "xen-dom0", "xen-domu")
# What worlds/host/xen-steps can do to a domain.
STEPS = ("save", "checkpoint", "migrate", "memory", "cpus", "save-unplugged", "grow",
         "reboot", "shutdown")


@dataclasses.dataclass
class Host:
    """The machine around a nested guest."""
    cpus: int = 2
    memory: int = 1024                  # MiB
    cmdline: str = ""                   # Xen's, or the KVM host kernel's
    module_args: str = ""               # kvm-amd's
    dom0_memory: int = 512              # MiB, of a dom0 that only starts a domU
    dom0_cpus: int = 1                  # of that dom0
    dom0_cmdline: str = ""              # added for its kernel


@dataclasses.dataclass
class Expect:
    """What must be true in a world."""
    backend: str = ""                   # debugfs pvops/backend
    # key of the guest's report -> regex, searched in the value
    report: dict[str, str] = dataclasses.field(default_factory=dict)
    # regexes, searched in each line of the kernel's log: in at least one, in
    # exactly one, in none
    expect_lines: list[str] = dataclasses.field(default_factory=list)
    once_lines: list[str] = dataclasses.field(default_factory=list)
    forbid_lines: list[str] = dataclasses.field(default_factory=list)
    # lines that match report.SPLATS and are accepted
    allow_lines: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class World:
    """A description from worlds/NAME.toml."""
    name: str
    about: str = ""
    kind: str = "direct"
    sets: list[str] = dataclasses.field(default_factory=list)   # `make boot` boots "default"
    kunit: bool = True                  # suites of kunit/suites.txt must run
    cpus: int = 2                       # of the kernel under test
    memory: int = 512                   # MiB, of the kernel under test
    timeout: int = 120                  # seconds
    weight: int = 1                     # CPUs of this machine that it keeps busy
    cpu: str = "max"                    # QEMU's -cpu for the outermost machine
    one_thread: bool = False            # QEMU runs all CPUs of that machine in it
    cmdline: str = ""                   # added for the kernel under test
    qemu_args: list[str] = dataclasses.field(default_factory=list)
    guest_qemu_args: list[str] = dataclasses.field(default_factory=list)
    domu_type: str = "pv"               # xl's: pv, pvh or hvm
    domu_config: list[str] = dataclasses.field(default_factory=list)
    disk: int = 0                       # MiB of the domain's virtual disk, ext4
    network: bool = False               # a network interface to dom0
    # what dom0 does to the domain while it runs the job `toolstack`; "cpus*3" is
    # three times "cpus"; the last step must be "shutdown"
    steps: list[str] = dataclasses.field(default_factory=list)
    # a line of the domain's console: dom0 saves the domain a few seconds later, and
    # restores it (hvm)
    save_at: str = ""
    userland: bool = False              # after the report, Debian with systemd (tools.pvops.userland)
    services: bool = False              # the disk with services as /dev/vda, for a job that mounts it
    reboots: bool = False               # a reboot is one, and not the end of the machine
    uefi: bool = False                  # OVMF instead of SeaBIOS
    # VMI-64 ROMs (tools.pvops.rom --list) of the machine under test, in the
    # BIOS's window; or, with rom_device, as expansion ROMs of such PCI devices;
    # or, with rom_initrd, in front of the initrd
    roms: list[str] = dataclasses.field(default_factory=list)
    rom_device: str = ""
    rom_initrd: bool = False
    jobs: list[str] = dataclasses.field(default_factory=list)
    host: Host = dataclasses.field(default_factory=Host)
    expect: Expect = dataclasses.field(default_factory=Expect)

    @property
    def turns(self) -> int:
        """How many CPUs take turns: a CPU has that much less of the time."""
        return self.cpus if self.one_thread else 1

    @property
    def root_disk(self) -> str:
        """The disk of tools.pvops.userland that the machine has, or nothing."""
        return "debian" if self.userland else "services" if self.services else ""


def names() -> list[str]:
    """The names of all worlds."""
    return sorted(path.stem for path in WORLDS.glob("*.toml"))


def load(name: str) -> World:
    """Read a description; `like` takes another one as the starting point."""
    return _build(name, _read(name, ()))


def _read(name: str, chain: tuple[str, ...]) -> dict:
    path = WORLDS / f"{name}.toml"
    if not path.exists():
        raise Failure(f"no world {name}; there are: {' '.join(names())}")
    if name in chain:
        raise Failure(f"{common.shown(path)}: `like` goes in a circle")
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Failure(f"{common.shown(path)}: {error}") from None
    like = data.pop("like", None)
    if like is None:
        return data
    base = _read(like, (*chain, name))
    # The sets of a world are not taken over from another one.
    base.pop("sets", None)
    return _over(base, data)


def _over(base: dict, data: dict) -> dict:
    """Settings over others, table by table."""
    merged = {**base, **data}
    for key, value in data.items():
        if isinstance(value, dict) and isinstance(base.get(key), dict):
            merged[key] = _over(base[key], value)
    return merged


def _build(name: str, data: dict) -> World:
    def fill(cls, values: dict, where: str):
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key, value in values.items():
            default = getattr(cls(name="") if cls is World else cls(), key, None)
            if key not in known or key == "name":
                raise Failure(f"worlds/{name}.toml: {where}{key}: no such setting; "
                              f"there are: {' '.join(known)}")
            if not isinstance(value, type(default)):
                raise Failure(f"worlds/{name}.toml: {where}{key}: must be "
                              f"{type(default).__name__}, is {value!r}")
        return values

    data = dict(data)
    host = Host(**fill(Host, data.pop("host", {}), "host."))
    expect = Expect(**fill(Expect, data.pop("expect", {}), "expect."))
    world = World(name=name, host=host, expect=expect, **fill(World, data, ""))
    if world.kind not in KINDS:
        raise Failure(f"worlds/{name}.toml: kind: {world.kind!r} is not one of "
                      f"{' '.join(KINDS)}")
    if strange := set(world.roms) - set(rom.names()):
        raise Failure(f"worlds/{name}.toml: roms: no ROM {' '.join(sorted(strange))}; "
                      "python3 -m tools.pvops.rom --list")
    if world.roms and not (world.kind in ("direct", "kvm") or world.kind == "xen-domu"
                           and (world.rom_initrd or world.domu_type == "hvm" and world.rom_device)):
        raise Failure(f"worlds/{name}.toml: roms: only for the kinds direct and kvm; for xen-domu with rom_initrd, "
                      "or with rom_device if domu_type is hvm")
    if world.kind != "xen-domu" and (world.disk or world.network or world.steps):
        raise Failure(f"worlds/{name}.toml: disk, network and steps: only for the kind "
                      "xen-domu")
    if world.save_at and not (world.kind == "xen-domu" and world.domu_type == "hvm" and not world.steps):
        raise Failure(f"worlds/{name}.toml: save_at: only for the kind xen-domu and domu_type hvm, without steps")
    if world.userland and (world.disk or world.network or world.steps or set(world.jobs) - {"userland"}):
        raise Failure(f"worlds/{name}.toml: userland: without disk, network, steps, and jobs but `userland`")
    if world.services and (world.userland or world.kind == "xen-domu"):
        raise Failure(f"worlds/{name}.toml: services: without userland, and not for the kind xen-domu")
    if strange := {step for step in world.steps if not times(step)}:
        raise Failure(f"worlds/{name}.toml: steps: no step {' '.join(sorted(strange))}; "
                      f"there are: {' '.join(STEPS)}, each perhaps with *NUMBER")
    if world.steps and (world.steps[-1] != "shutdown" or not world.disk
                        or not world.network or "toolstack" not in world.jobs):
        raise Failure(f"worlds/{name}.toml: steps: they end with shutdown, and need disk, "
                      "network and the job toolstack")
    return world


def times(step: str) -> list[str]:
    """A step in the form for dom0: NAME:1, NAME:2, ... Empty if the step is wrong."""
    match = re.fullmatch(r"([a-z-]+)(?:\*([1-9]\d?))?", step)
    if not match or match[1] not in STEPS:
        return []
    return [f"{match[1]}:{turn + 1}" for turn in range(int(match[2] or 1))]
