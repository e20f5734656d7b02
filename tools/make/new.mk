# SPDX-License-Identifier: GPL-2.0
# Skeletons of a world, a KUnit suite, a backend (tools/pvops/skeleton.py).

PYTHON ?= python3

.PHONY: new-world new-test new-backend
new-world:
	@$(PYTHON) -m tools.pvops.skeleton world '$(NAME)' $(if $(LIKE),--like '$(LIKE)')

new-test:
	@$(PYTHON) -m tools.pvops.skeleton test '$(NAME)'

new-backend:
	@$(PYTHON) -m tools.pvops.skeleton backend '$(NAME)' $(if $(SIGNATURE),--signature '$(SIGNATURE)')
