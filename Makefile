# SPDX-License-Identifier: BSD-3-Clause
#
# The front door. Each target is a script in scripts/; what is built lies in build/ and, shared by all
# clones, in $QUIVER_CACHE (default ~/.cache/quiver).

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

LANE ?= 6.12
LANES := 6.1 6.12 newest debug
# Of these, those that NVIDIA's own driver is built for, where Debian's packages of it can be had
NVIDIA_LANES := 6.1 6.12
ARGS ?=

.PHONY: help setup host qemu kernels guest image build all run test soak soak-traces soak-matrix fuzz check mac refresh clean clean-cache

help:
	@echo 'make run            install what is missing, build, boot a VM with passed-through devices'
	@echo 'make run ARGS=--shell   the same, and leave a shell in the guest'
	@echo 'make test           build everything and run every test; ARGS=--long: also those that repeat most of others'
	@echo 'make soak           both of these; each can be had alone, with ARGS'
	@echo 'make soak-traces    10,000 loads of traces in one fragmenting address space: minutes to an hour'
	@echo 'make soak-matrix    kill 200 virtual machines and 1,000 clients at random moments: an hour'
	@echo 'make fuzz           all fuzzers, a minute each; ARGS="[--seconds N] [NAME...]" (docs/fuzzing.rst)'
	@echo 'make check          static checks: scripts, spelling, licences'
	@echo 'make build          what "make run" needs: host side, QEMU, one kernel, guest module, images'
	@echo 'make all            what "make test" needs: the same for all kernels'
	@echo 'make setup          install the Debian packages that the build uses'
	@echo 'make mac            on a Mac: build app, extension, QEMU and quiver (docs/mac.rst); ARGS=--dry-run shows how'
	@echo 'make refresh        fetch the kernels and the guest image anew, in their newest versions'
	@echo 'make clean          remove build/'
	@echo 'make clean-cache    remove the cache as well (make run brings it back; needs the network)'
	@echo 'Settings: LANE=$(LANE) (of $(LANES)), QUIVER_CACHE, QUIVER_JOBS, QEMU_VERSION=10.0'

setup:
	@scripts/deps

host: setup
	@scripts/host

qemu: host
	@scripts/qemu

kernels: setup
	@for lane in $(LANES); do scripts/kernel $$lane >/dev/null || exit 1; done

guest: setup
	@scripts/module $(LANE)
	@scripts/guest

image: setup
	@scripts/rootfs >/dev/null
	@scripts/initrd $(LANE) build/guest/$(LANE)/base.gz

build: host qemu guest image

all: build kernels
	@for lane in $(LANES); do scripts/module $$lane && \
		scripts/initrd $$lane build/guest/$$lane/base.gz || exit 1; done
	@for lane in $(NVIDIA_LANES); do scripts/nvidia $$lane >/dev/null || [ $$? -eq 77 ] || exit 1; done
	@scripts/image >/dev/null || [ $$? -eq 77 ]

run: build
	@scripts/run $(ARGS)

test: all
	@tests/run $(ARGS)

soak: soak-traces soak-matrix

soak-traces: host
	@tests/soak $(ARGS)

soak-matrix: build
	@tests/matrix/run --long $(ARGS)

fuzz: qemu
	@tests/fuzz/run $(ARGS)

check: setup
	@scripts/check

mac:
	@scripts/mac $(ARGS)

refresh: setup
	@for lane in $(LANES); do QUIVER_REFRESH=1 scripts/kernel $$lane >/dev/null || exit 1; done
	@QUIVER_REFRESH=1 scripts/rootfs >/dev/null
	@QUIVER_REFRESH=1 scripts/image >/dev/null || [ $$? -eq 77 ]
	@for lane in $(NVIDIA_LANES); do QUIVER_REFRESH=1 scripts/nvidia --packages $$lane || [ $$? -eq 77 ] || exit 1; done

clean:
	rm -rf build

clean-cache: clean
	@scripts/clean-cache
