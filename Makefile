# SPDX-License-Identifier: GPL-2.0
#
# Commands for users. Each target runs one tool under tools/pvops; its --help has
# more options. This file decides nothing.
#
# The kernel's build does not use this file. It uses Kbuild in this directory.

PYTHON ?= python3

# A value as one word of the shell, whatever characters it has.
q = '$(subst ','\'',$(1))'

# Worlds, patterns or sets for `make boot`; see `make worlds`.
WORLDS ?= default

.PHONY: help
help:
	@echo 'Start here:'
	@echo '  make boot                    set up, build, boot the default worlds, show a table'
	@echo '  make test                    everything that finds regressions'
	@echo
	@echo 'Worlds:'
	@echo '  make boot WORLDS="bare kvm*" some worlds: names, patterns, sets (all, default, input)'
	@echo '       KERNEL=bzImage          boot that image instead (it may be unpatched)'
	@echo '       KDIR=tree               boot what was built in that integrated tree'
	@echo '       JOBS=a,b CMDLINE="..."  run jobs in the guests; add to the command line'
	@echo '       FLAVOUR=debug           another of our kernels, see make kernel'
	@echo '       REPORT=FILE             the JSON goes there'
	@echo '  make run WORLD=bare          a shell in a world (KERNEL=, KDIR=, CMDLINE= as above;'
	@echo '                               JOBS=1: the guest jobs are there, in /jobs)'
	@echo '       GDB=1  SHARE=dir        wait for gdb; a copy of dir is there, as /share'
	@echo '       DRYRUN=1                print the command of QEMU instead'
	@echo '  make bundle WORLD=bare       the world as files and one script, for a bug report'
	@echo '  make dump WORLD=bare         its memory, as an ELF core (RUN=command first)'
	@echo '  make worlds                  which worlds there are'
	@echo '  make kernel [FLAVOUR=debug]  only build: main, debug, checks, debian-cloud, clang, ...'
	@echo '  make deb FLAVOUR=main        Debian packages of it, in build/packages'
	@echo '  make rom                     the VMI-64 ROMs and vmi-romtool, which checks one'
	@echo
	@echo 'Benchmarks (Documentation/benchmarks.rst):'
	@echo '  make bench                   what operations cost, in every world, against bare metal'
	@echo '       VARIANTS="native xen"   some of them (make bench-list); LABEL=WORLD,BZIMAGE for others'
	@echo '       OPS=a,b STEPS=count     some operations; measure, smp, count, loads, time'
	@echo '       STEPS=services          servers, compilers, languages of Debian; LOADS=gcc,nginx: some'
	@echo '       SHORT=1 BOOTS=1         less of everything; boots of each'
	@echo '  make bench-compare A=F B=F   what changed between two reports'
	@echo '  make bench-plot              pictures and a page of the last report'
	@echo '  make bench-project PRICE="exit=2000"          cycles, with a price for each crossing'
	@echo '  make bench-profile VARIANT=xen OP=fork-exit   which functions the instructions are in'
	@echo
	@echo 'Other trees:'
	@echo '  make integrate KDIR=...      put pvops into a Linux 6.12 tree (LINK=1: by links)'
	@echo '  make deintegrate KDIR=...    take it out again'
	@echo '  make patch                   one series for git am, and the same in parts'
	@echo '       FORMAT=quilt            for debian/patches instead; AUTHOR="Name <a@b>"'
	@echo
	@echo 'Something new (Documentation/kernel-developers.rst):'
	@echo '  make new-world NAME=x LIKE=bare   a world like another one'
	@echo '  make new-test NAME=x         a KUnit suite'
	@echo '  make new-backend NAME=x      a backend with its option, test and world'
	@echo
	@echo 'Checks:'
	@echo '  make test ONLY="host boot"   some stages of it; make test-all: also the long ones'
	@echo '  make test-index              a page that lists every test: build/test-index.rst'
	@echo '  make jobs                    behaviour in the guests: selftests, SMP, time, a container'
	@echo '  make cost                    instructions per operation, against an unpatched kernel'
	@echo '  make kunit                   the suites, by the kernel'"'"'s own kunit.py'
	@echo '  make lint                    style, checkpatch, warnings, sparse, objtool'
	@echo '  make textcompare             the running kernel'"'"'s text, against an unpatched one'
	@echo '  make objcompare              object code with our options off: as unpatched?'
	@echo '  make kconfig-matrix          every combination of our options builds'
	@echo '  make parts [LETTERS="c d"]   each part of the series builds and boots alone'
	@echo
	@echo 'All output goes to build/: build/report (JSON), build/log (consoles, build logs).'
	@echo '  make clean                   remove what was built; make distclean: all of build/'

.PHONY: boot worlds run bundle dump setup kernel deb
boot:
	@$(PYTHON) -m tools.pvops.boot $(call q,$(WORLDS)) \
		$(if $(KERNEL),--kernel $(call q,$(KERNEL))) $(if $(KDIR),--kdir $(call q,$(KDIR))) \
		$(if $(FLAVOUR),--flavour $(call q,$(FLAVOUR))) \
		$(if $(JOBS),--jobs $(call q,$(JOBS))) $(if $(CMDLINE),--cmdline $(call q,$(CMDLINE))) \
		$(if $(REPORT),--report $(call q,$(REPORT)))

setup:
	@$(PYTHON) -m tools.pvops.boot --setup

worlds:
	@$(PYTHON) -m tools.pvops.boot --list

# What a world is used for by hand (tools/pvops/use.py).
USE = @$(PYTHON) -m tools.pvops.use $(call q,$(or $(WORLD),$(error say which world: make $@ WORLD=bare))) $(1) \
	$(if $(KERNEL),--kernel $(call q,$(KERNEL))) $(if $(KDIR),--kdir $(call q,$(KDIR))) \
	$(if $(CMDLINE),--cmdline $(call q,$(CMDLINE))) $(if $(SHARE),--share $(call q,$(SHARE)))

run:
	$(call USE,$(if $(DRYRUN),command,shell)) $(if $(JOBS),--with-jobs) \
		$(if $(filter-out 0 n no,$(GDB)),--gdb $(if $(filter-out 1 y yes,$(GDB)),$(call q,$(GDB))))

bundle:
	$(call USE,bundle) $(if $(JOBS),--jobs $(call q,$(JOBS)))

dump:
	$(call USE,dump) $(if $(RUN),--run $(call q,$(RUN)))

kernel:
	@$(PYTHON) -m tools.pvops.kernel $(FLAVOUR)

deb:
	@$(PYTHON) -m tools.pvops.deb $(FLAVOUR)

.PHONY: clean distclean
clean:
	rm -rf build/out build/initramfs build/run build/log build/report \
		build/bundle build/dryrun build/dump build/quilt build/patches

distclean:
	rm -rf build

include $(wildcard tools/make/*.mk)
