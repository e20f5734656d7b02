# SPDX-License-Identifier: GPL-2.0
"""The packages of a kernel: the image installs on Debian 12, DKMS builds modules with the headers, both run."""

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


def run(*argv, **options):
    """A command; what it printed is shown if it fails."""
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, check=False, **options)
    if done.returncode:
        raise AssertionError(f"{argv}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    return done.stdout


class Packages(unittest.TestCase):
    """Packages of the kernel main, which has few modules."""

    @classmethod
    def setUpClass(cls):
        cls.image, cls.headers = deb.build("main")
        scratch = tempfile.TemporaryDirectory(prefix="pvops-deb.", dir=common.BUILD)
        cls.addClassCleanup(scratch.cleanup)
        cls.scratch = pathlib.Path(scratch.name)
        for package in (cls.image, cls.headers):
            run("dpkg", "-x", package, cls.scratch / "root")
        cls.release = next((cls.scratch / "root/lib/modules").iterdir()).name
        cls.vmlinuz = cls.scratch / f"root/boot/vmlinuz-{cls.release}"

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

    def test_dkms(self):
        """DKMS builds modules against the headers package; they load in three kinds of machines."""
        packages.install(["dkms"])
        sources, tree = self.scratch / "src", self.scratch / "dkms"
        shutil.copytree(outside.SOURCE, sources / "outside-1")
        (sources / "outside-1/dkms.conf").write_text(DKMS)
        tree.mkdir()
        headers = self.scratch / f"root/usr/src/linux-headers-{self.release}"
        common_options = ("-m", "outside", "-v", "1", "--dkmstree", tree, "--sourcetree", sources)
        run("dkms", "add", *common_options)
        run("dkms", "build", *common_options, "-k", self.release, "--kernelsourcedir", headers, "--no-depmod")
        built = sorted(tree.glob(f"outside/1/{self.release}/x86_64/module/*.ko*"))
        self.assertEqual(["outside_gpl.ko", "outside_proprietary.ko"],
                         [path.name.removesuffix(".xz") for path in built])
        archive = cpio.Archive()
        for path in built:
            if path.suffix == ".xz":
                run("xz", "-d", path)
                path = path.with_suffix("")
            archive.copy(f"lib/modules/{path.name}", path)
        modules = archive.write(self.scratch / "modules.cpio")
        self.addCleanup(world.stop_all)
        for name in ("bare", "kvm-npt", "xen-dom0"):
            with self.subTest(world=name):
                result = world.run(name, ["modules"], kernel=self.vmlinuz, cpios=[modules], need_pvops=True,
                                   check_kunit=False, log=common.LOG / f"deb-{name}.log")
                self.assertEqual([], result.problems)
                self.assertEqual(self.release, result.report["release"])


if __name__ == "__main__":
    unittest.main()
