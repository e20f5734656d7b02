# SPDX-License-Identifier: GPL-2.0
"""Import the standard library; the modules that do something when imported are left out."""

import importlib
import sys

# Debian has some in other packages, some are of other systems; `this` prints,
# `antigravity` opens a browser.
WITHOUT = {"antigravity", "this", "idlelib", "tkinter", "turtle", "turtledemo", "lib2to3", "distutils",
           "_tkinter", "_gdbm", "ensurepip", "venv", "test",
           "_msi", "_overlapped", "_scproxy", "_winapi", "msilib", "msvcrt", "nt", "winreg", "winsound"}

modules = errors = 0
for name in sorted(sys.stdlib_module_names - WITHOUT):
    try:
        importlib.import_module(name)
        modules += 1
    except ImportError as error:
        errors += 1
        print(name, error)
print(f"{modules} modules, {errors} errors")
