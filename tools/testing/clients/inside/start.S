/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the guest is entered: in protected mode, with flat segments. A note of Xen's says
 * where that is, to whoever starts kernels by PVH.
 */
#define XEN_ELFNOTE_PHYS32_ENTRY	18

	.section .note.Xen, "a", @note
	.long	4, 8, XEN_ELFNOTE_PHYS32_ENTRY
	.asciz	"Xen"
	.long	_start, 0

	.text
	.globl	_start
_start:
	cli
	movl	$stack_end, %esp
	call	inside

	.bss
	.balign	4096
	.globl	memory
memory:
	.skip	3 * 4096
	.skip	4096
stack_end:

	.section .note.GNU-stack, "", @progbits
