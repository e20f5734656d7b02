# SPDX-License-Identifier: GPL-2.0
#
# Benchmarks (tools/pvops/bench*.py, Documentation/benchmarks.rst).

VARIANTS ?=
STEPS ?=
OPS ?=
LOADS ?=
BOOTS ?=
OP ?=
CALLERS ?=

.PHONY: bench bench-list bench-compare bench-plot bench-profile bench-project
bench:
	@$(PYTHON) -m tools.pvops.bench $(VARIANTS) $(if $(STEPS),--steps $(call q,$(STEPS))) \
		$(if $(OPS),--ops $(call q,$(OPS))) $(if $(LOADS),--loads $(call q,$(LOADS))) $(if $(BOOTS),--boots $(BOOTS)) \
		$(if $(filter 1 y yes,$(SHORT)),--short) $(if $(REPORT),--report $(call q,$(REPORT)))

bench-list:
	@$(PYTHON) -m tools.pvops.bench --list

bench-compare:
	@$(PYTHON) -m tools.pvops.benchcompare $(or $(A),$(error say A=old.json B=new.json)) \
		$(or $(B),$(error say A=old.json B=new.json)) $(if $(BOUND),--bound $(BOUND))

bench-plot:
	@$(PYTHON) -m tools.pvops.benchplot $(if $(REPORT),--report $(call q,$(REPORT)))

bench-project:
	@$(PYTHON) -m tools.pvops.benchproject $(if $(REPORT),$(call q,$(REPORT))) \
		$(foreach price,$(PRICE),--price $(call q,$(price))) $(if $(CPI),--cpi $(call q,$(CPI)))

bench-profile:
	@$(PYTHON) -m tools.pvops.benchprofile $(or $(VARIANT),$(error say VARIANT=xen OP=fork-exit)) \
		$(or $(OP),$(error say VARIANT=xen OP=fork-exit)) $(if $(CALLERS),--callers $(call q,$(CALLERS)))
