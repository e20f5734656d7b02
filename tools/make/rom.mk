# SPDX-License-Identifier: GPL-2.0
# The VMI-64 ROMs and vmi-romtool (tools/pvops/rom.py, vmi-rom/Makefile).

PYTHON ?= python3

# ROM="hw bad/checksum": some of them; see python3 -m tools.pvops.rom --list
.PHONY: rom
rom:
	@$(PYTHON) -m tools.pvops.rom $(ROM)
