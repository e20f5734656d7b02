# SPDX-License-Identifier: GPL-2.0
# Integration and checks. Included by the top Makefile; each target is one tool.

PYTHON ?= python3

.PHONY: integrate deintegrate patch
integrate:
	@$(PYTHON) -m tools.pvops.integrate integrate $(if $(filter 1 y yes,$(LINK)),--link) $(call q,$(KDIR))

deintegrate:
	@$(PYTHON) -m tools.pvops.integrate deintegrate $(call q,$(KDIR))

patch:
	@$(PYTHON) -m tools.pvops.mailseries $(if $(FORMAT),--format $(call q,$(FORMAT))) \
		$(if $(AUTHOR),--author $(call q,$(AUTHOR))) $(if $(OUT),--out $(call q,$(OUT)))

# tests/stages.toml has the stages; ONLY="host lint" runs some of them.
.PHONY: test test-all
test test-all:
	@$(PYTHON) -m tools.pvops.suite $@ $(if $(ONLY),--only $(call q,$(ONLY)))

# LETTERS="c d" builds and boots some of the parts of the series.
.PHONY: parts
parts:
	@$(PYTHON) -m tools.pvops.partboot $(LETTERS)

# A page that lists every test with a sentence about it: build/test-index.rst.
.PHONY: test-index
test-index:
	@$(PYTHON) -m tools.pvops.testindex

# CHECKS="files patches" runs some of them.
.PHONY: lint objcompare textcompare
lint:
	@$(PYTHON) -m tools.pvops.lint $(CHECKS)

objcompare:
	@$(PYTHON) -m tools.pvops.objcompare

textcompare:
	@$(PYTHON) -m tools.pvops.textcompare

# Check that booting and guest jobs make every call of VMI-64.
.PHONY: vmi-calls
vmi-calls:
	@$(PYTHON) -m tools.pvops.jobs run --world vmi-allcall
	@$(PYTHON) -m tools.pvops.boot vmi-allcall-reboot vmi-allcall-down --report build/report/vmi-down.json
	@$(PYTHON) -m tools.pvops.vmicalls

.PHONY: kconfig-matrix kunit
kconfig-matrix:
	@$(PYTHON) -m tools.pvops.kconfig_matrix

kunit:
	@$(PYTHON) -m tools.pvops.kunit run
