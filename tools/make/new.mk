# SPDX-License-Identifier: GPL-2.0
# Skeletons of a world, a KUnit suite, a backend (tools/pvops/skeleton.py).

PYTHON ?= python3

.PHONY: new-world new-test new-backend
new-world:
	@$(PYTHON) -m tools.pvops.skeleton world $(call q,$(NAME)) $(if $(LIKE),--like $(call q,$(LIKE)))

new-test:
	@$(PYTHON) -m tools.pvops.skeleton test $(call q,$(NAME))

new-backend:
	@$(PYTHON) -m tools.pvops.skeleton backend $(call q,$(NAME)) $(if $(SIGNATURE),--signature $(call q,$(SIGNATURE)))
