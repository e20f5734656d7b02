# SPDX-License-Identifier: GPL-2.0
#
# Guest jobs, and instructions per operation (tools/pvops/jobs.py, cost.py).

JOB_WORLDS ?= bare kvm-npt xen-dom0
JOBS ?=
A ?=
B ?=

.PHONY: jobs selftests cost

jobs: kernel
	@set -e; for w in $(JOB_WORLDS); do \
		python3 -m tools.pvops.jobs run --world $$w $(if $(JOBS),--jobs $(JOBS)); \
	done

selftests: JOBS = selftests
selftests: jobs

cost:
	@python3 -m tools.pvops.cost $(if $(A),--a $(A)) $(if $(B),--b $(B))
