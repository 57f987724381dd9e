# SPDX-License-Identifier: GPL-2.0
# For people. Kbuild is what the kernel's build system reads; none of this
# matters to it.

VM := tools/testing/vm

help:
	@echo 'VFIO for Linux, in Rust.'
	@echo
	@echo '  make demo         set up all that is needed, boot QEMU, show a userspace driver'
	@echo '  make check        all tests; the last line is "N passed, N failed"'
	@echo '  make shell        the same machine with a shell on it, modules loaded'
	@echo
	@echo '  make modules      build the modules against both test kernels'
	@echo '  make kunit        KUnit suites, in the guest'
	@echo '  make selftests    the kernel'"'"'s selftests and ours, on these modules and on the C ones'
	@echo '  make host-test    cargo test of the pure files, on this machine'
	@echo '  make lint         rustfmt, checkpatch, clippy, rustdoc'
	@echo '  make intree       builds inside the kernel'"'"'s tree, =m and =y, and boots the latter'
	@echo '  make clean-cache  remove everything that was downloaded and built'
	@echo
	@echo 'Variables:'
	@echo '  VFIO_RUST_CACHE   where all that is kept (default: ~/.cache/vfio-rust)'
	@echo '  STACK=c           make shell: the C modules in place of these'
	@echo '  KERNEL=debug      make shell, make demo: the debug kernel'
	@echo
	@echo 'It takes a Debian 12 or 13 machine, root, a network for the first time, 15 GiB of'
	@echo 'disk. The first time builds two kernels and takes most of an hour.'

KERNEL ?= plain
STACK ?= rust

demo:
	@KERNEL_VARIANT=$(KERNEL) $(VM)/demo

check:
	@$(VM)/check

shell:
	@$(VM)/run -i -k $(KERNEL) -s $(STACK)

modules kunit selftests host-test lint intree:
	@$(VM)/check $@

clean-cache:
	@$(VM)/clean-cache

.PHONY: help demo check shell modules kunit selftests host-test lint intree clean-cache
