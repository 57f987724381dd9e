# SPDX-License-Identifier: GPL-2.0
# For people. Kbuild is what the kernel's build system reads; none of this
# matters to it.

VM := tools/testing/vm

help:
	@echo 'VFIO for Linux, in Rust.'
	@echo
	@echo '  make demo         set up all that is needed, boot Debian'"'"'s kernel in QEMU with these'
	@echo '                    modules, show a userspace driver'
	@echo '  make check        all tests; the last line is "N passed, N failed"'
	@echo '  make shell        the same machine with a shell on it, modules loaded'
	@echo
	@echo '  make install      build the modules for the kernel that runs here, and install them'
	@echo '  make uninstall    take them away again'
	@echo '  make deb          the package vfio-rust-dkms, which does that for each kernel that comes'
	@echo
	@echo '  make modules      build the modules against both test kernels'
	@echo '  make kunit        KUnit suites, in the guest'
	@echo '  make selftests    the kernel'"'"'s selftests and ours, on these modules and on the C ones'
	@echo '  make bench        what operations cost in instructions, with the C modules and with these'
	@echo '  make stock        some of them on Debian'"'"'s own kernel'
	@echo '  make host-test    cargo test of the pure files, on this machine'
	@echo '  make lint         rustfmt, checkpatch, floors, clippy, rustdoc'
	@echo '  make intree       builds inside the kernel'"'"'s tree, =m and =y, and boots the latter'
	@echo '  make clean-cache  remove everything that was downloaded and built'
	@echo
	@echo 'Variables:'
	@echo '  VFIO_RUST_CACHE   where all that is kept (default: ~/.cache/vfio-rust)'
	@echo '  STACK=c           make shell: the C modules in place of these; mixed: C'"'"'s vfio-pci on these'
	@echo '  KERNEL=debug      make shell, make demo: the debug kernel; plain: one without checkers,'
	@echo '                    which KSRC means already; stock: Debian'"'"'s'
	@echo '  DEB_DIR=/path     where make deb puts the package (default: ..)'
	@echo '  KSRC=/path        the kernel source of the test kernels, and of make install'
	@echo
	@echo 'It takes a Debian 12 or 13 machine, root, a network for the first time. make demo takes'
	@echo '5 GiB of disk and some minutes the first time. make check takes 15 GiB; it builds two'
	@echo 'kernels the first time, and takes most of an hour. make install takes Debian 13 with the'
	@echo 'kernel of its backports.'

KERNEL ?= $(if $(KSRC),plain,stock)
STACK ?= rust
INSTALL := tools/install
DEB_DIR ?= ..
export KSRC

demo:
	@KERNEL_VARIANT=$(KERNEL) $(VM)/demo

check:
	@$(VM)/check

shell:
	@$(VM)/run -i -k $(KERNEL) -s $(STACK)

modules kunit selftests stock host-test lint intree:
	@$(VM)/check $@

bench:
	@tools/testing/bench/run

install:
	@$(INSTALL)/install

uninstall:
	@$(INSTALL)/uninstall

deb:
	@$(INSTALL)/make-deb $(DEB_DIR)

clean-cache:
	@$(VM)/clean-cache

.PHONY: help demo check shell bench install uninstall deb modules kunit selftests stock host-test \
	lint intree clean-cache
