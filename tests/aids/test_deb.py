# SPDX-License-Identifier: GPL-2.0
"""The packages of a kernel: the image installs on Debian 12, DKMS builds modules with the headers, both run.

FLAVOUR in the environment names the kernel; otherwise it is main, which has few modules and signs none.
"""

import lzma
import os
import pathlib
import shutil
import subprocess
import tempfile
import unittest

from tools.pvops import common, cpio, deb, outside, packages, userland, world

DKMS = """PACKAGE_NAME="outside"
PACKAGE_VERSION="1"
MAKE="make -C ${kernel_source_dir} M=${dkms_tree}/${PACKAGE_NAME}/${PACKAGE_VERSION}/build modules"
CLEAN="true"
BUILT_MODULE_NAME[0]="outside_gpl"
DEST_MODULE_LOCATION[0]="/updates"
BUILT_MODULE_NAME[1]="outside_proprietary"
DEST_MODULE_LOCATION[1]="/updates"
"""


FLAVOUR = os.environ.get("FLAVOUR", "main")


def run(*argv, **options):
    """A command; what it printed is shown if it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{argv}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


def plain(module, directory):
    """A module as it is loaded, without compression. Returns its path, in the directory."""
    path = directory / module.name.removesuffix(".xz")
    path.write_bytes(module.read_bytes() if module.suffix == ".ko" else lzma.decompress(module.read_bytes()))
    return path


class Packages(unittest.TestCase):
    """Packages of one kernel."""

    @classmethod
    def setUpClass(cls):
        cls.image, cls.headers = deb.build(FLAVOUR)
        scratch = tempfile.TemporaryDirectory(prefix="pvops-deb.", dir=common.BUILD)
        cls.addClassCleanup(scratch.cleanup)
        # once it has run, no world boots any more
        cls.addClassCleanup(world.stop_all)
        cls.scratch = pathlib.Path(scratch.name)
        for package in (cls.image, cls.headers):
            run("dpkg", "-x", package, cls.scratch / "root")
        cls.release = next((cls.scratch / "root/lib/modules").iterdir()).name
        cls.vmlinuz = cls.scratch / f"root/boot/vmlinuz-{cls.release}"
        cls.config = (cls.scratch / f"root/boot/config-{cls.release}").read_text()
        cls.headers_tree = cls.scratch / f"root/usr/src/linux-headers-{cls.release}"

    def test_installed_on_debian(self):
        """dpkg installs the image on Debian 12, configures and removes it."""
        root = self.scratch / "debian"
        root.mkdir()
        run("debugfs", "-R", f"rdump / {root}", userland.image())
        shutil.copy(self.image, root / "root")
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
        run("chroot", root, "sh", "-c", "dpkg -i /root/linux-image-*.deb", env=environment)
        self.assertTrue((root / f"boot/vmlinuz-{self.release}").exists())
        self.assertIn("CONFIG_PVOPS=y\n", (root / f"boot/config-{self.release}").read_text())
        run("chroot", root, "sh", "-c", f"dpkg -P linux-image-{self.release}", env=environment)
        self.assertFalse((root / f"boot/vmlinuz-{self.release}").exists())
        shutil.rmtree(root)

    def build_outside(self):
        """Modules that DKMS built against the headers package."""
        packages.install(["dkms"])
        sources, tree = self.scratch / "src", self.scratch / "dkms"
        if (tree / "plain").exists():
            return sorted((tree / "plain").iterdir())
        for half_made in (sources, tree):
            shutil.rmtree(half_made, ignore_errors=True)
        shutil.copytree(outside.SOURCE, sources / "outside-1")
        (sources / "outside-1/dkms.conf").write_text(DKMS)
        tree.mkdir()
        common_options = ("-m", "outside", "-v", "1", "--dkmstree", tree, "--sourcetree", sources)
        run("dkms", "add", *common_options)
        run("dkms", "build", *common_options, "-k", self.release, "--kernelsourcedir", self.headers_tree, "--no-depmod")
        built = sorted(tree.glob(f"outside/1/{self.release}/x86_64/module/*.ko*"))
        (tree / "plain").mkdir()
        return [plain(path, tree / "plain") for path in built]

    def boot(self, name, job, modules, extra=""):
        """The job in a world, with these modules and with the kernel of the package."""
        archive = cpio.Archive()
        for file, path in modules.items():
            archive.copy(f"lib/modules/{file}", path)
        result = world.run(name, [job], kernel=self.vmlinuz, cpios=[archive.write(self.scratch / "modules.cpio")],
                           need_pvops=True, check_kunit=False, extra_cmdline=extra,
                           log=common.LOG / f"deb-{FLAVOUR}-{name}-{job}.log")
        self.assertEqual([], result.problems)
        self.assertEqual(self.release, result.report["release"])

    def test_dkms(self):
        """DKMS builds modules against the headers package; they load in three kinds of machines."""
        built = self.build_outside()
        self.assertEqual(["outside_gpl.ko", "outside_proprietary.ko"], [path.name for path in built])
        for name in ("bare", "kvm-npt", "xen-dom0" if "CONFIG_XEN_DOM0=y\n" in self.config else "xen-domU"):
            with self.subTest(world=name):
                self.boot(name, "modules", {path.name: path for path in built})

    def test_signed(self):
        """Under lockdown a module of the package loads, and one that DKMS built only after it was signed."""
        if "CONFIG_MODULE_SIG=y\n" not in self.config:
            self.skipTest(f"{FLAVOUR} signs no modules")
        packaged = next(self.scratch.glob(f"root/lib/modules/{self.release}/kernel/drivers/net/dummy.ko*"))
        unsigned = self.build_outside()[0]
        key = common.BUILD / f"packages/{FLAVOUR}/build/certs"
        signed = self.scratch / "signed.ko"
        # DKMS may have signed it, by a key that this kernel does not know
        run("objcopy", "--strip-debug", unsigned, self.scratch / "unsigned.ko")
        run(self.headers_tree / "scripts/sign-file", "sha256", key / "signing_key.pem", key / "signing_key.x509",
            self.scratch / "unsigned.ko", signed)
        self.boot("bare", "signed", {"packaged.ko": plain(packaged, self.scratch), "signed.ko": signed,
                                     "unsigned.ko": self.scratch / "unsigned.ko"}, "lockdown=integrity")


if __name__ == "__main__":
    unittest.main()
