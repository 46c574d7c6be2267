/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The guest's first instructions: PVH entry (32-bit protected mode, ebx = hvm_start_info), long
 * mode, then ring 3 and mg_main(). Page tables (4 GiB identity, user accessible, 2 MiB pages), GDT,
 * IDT and TSS are built at link time, so that little runs in ring 0: some hosts interpret it. Ports
 * are open to ring 3 through the TSS's I/O bitmap. Any exception ends in mg_exception(). Follows
 * Xen's "x86/HVM direct boot ABI" and Intel's SDM volume 3 (4.5 paging, 6.14 IDT, 8.7 TSS).
 */

#define CR0_PG_NE_ET_PE	0x80000031
#define CR4_PAE_FXSR_XMM 0x620
#define MSR_EFER	0xc0000080
#define EFER_LME_SCE	0x101

/* Vectors with an error code, one bit each: 8, 10-14, 17, 21, 29, 30 */
#define ERROR_CODES	0x60227d00

#define SEL_CODE0	0x08
#define SEL_DATA0	0x10
#define SEL_DATA3	(0x18 | 3)
#define SEL_CODE3	(0x20 | 3)
#define SEL_TSS		0x28

	.section .note.Xen, "a", @note
	.balign 4
	.long 4, 8, 18				/* name size, descriptor size, PHYS32_ENTRY */
	.asciz "Xen"
	.quad _start

	.text
	.code32
	.globl _start
_start:
	cld
	movl %ebx, mg_start_info
	movl $stack0_top, %esp
	lgdt gdtr
	movl $CR4_PAE_FXSR_XMM, %eax
	movl %eax, %cr4
	movl $pml4, %eax
	movl %eax, %cr3
	movl $MSR_EFER, %ecx
	rdmsr
	orl $EFER_LME_SCE, %eax
	wrmsr
	movl $CR0_PG_NE_ET_PE, %eax
	movl %eax, %cr0
	ljmp $SEL_CODE0, $long_mode
	.code64
long_mode:
	movl $SEL_DATA0, %eax
	movl %eax, %ss
	movl $SEL_DATA3, %eax
	movl %eax, %ds
	movl %eax, %es
	lidt idtr
	movl $SEL_TSS, %eax
	ltr %ax
	pushq $SEL_DATA3
	pushq $stack3_top
	pushq $0x2				/* RFLAGS: interrupts off, for good */
	pushq $SEL_CODE3
	pushq $user
	iretq
user:
	movl mg_start_info(%rip), %edi
	xorl %ebp, %ebp
	call mg_main				/* does not return */
1:	pause
	jmp 1b

/*
 * Exceptions: one 16-byte stub a vector leaves vector and error code on the stack (a zero where
 * the CPU pushes none), then mg_exception(vector, rip) prints and leaves.
 */
	.balign 512				/* mg.ld makes IDT offsets of this */
	.globl stubs
stubs:
	.set vector, 0
	.rept 32
	.balign 16
	.if !(ERROR_CODES >> vector & 1)
	pushq $0
	.endif
	pushq $vector
	jmp exception
	.set vector, vector + 1
	.endr
exception:
	movq (%rsp), %rdi
	movq 16(%rsp), %rsi
	cld
	andq $-16, %rsp
	call mg_exception			/* does not return */
2:	pause
	jmp 2b

	.data
	.balign 4096
pml4:	.quad pdpt + 7				/* present, writable, user */
	.fill 511, 8, 0
pdpt:	.quad pd + 7, pd + 0x1007, pd + 0x2007, pd + 0x3007
	.fill 508, 8, 0
pd:	.set addr, 0
	.rept 2048
	.quad addr + 0xe7			/* present, writable, user, accessed, dirty, 2 MiB */
	.set addr, addr + 0x200000
	.endr

	.balign 16
gdt:	.quad 0
	.quad 0x00209b0000000000		/* 08: 64-bit code, ring 0 */
	.quad 0x00cf93000000ffff		/* 10: data, ring 0 */
	.quad 0x00cff3000000ffff		/* 18: data, ring 3 */
	.quad 0x0020fb0000000000		/* 20: 64-bit code, ring 3 */
	.word 0x68 + 0x2000, tss_lo		/* 28: TSS; the address in pieces comes from mg.ld */
	.long tss_hi
	.quad 0
gdt_end:
gdtr:	.word gdt_end - gdt - 1
	.quad gdt
idtr:	.word 32 * 16 - 1
	.quad idt

	.balign 16
	.globl tss
tss:	.long 0
	.quad stack0_top			/* RSP0 */
	.fill 22, 4, 0
	.word 0, 0x68				/* the I/O bitmap starts here: every port allowed */
	.fill 0x2000, 1, 0
	.byte 0xff

	.balign 16
idt:	.set vector, 0
	.rept 32
	.word stubs_lo + vector * 16, SEL_CODE0, 0x8e00, stubs_hi
	.quad 0
	.set vector, vector + 1
	.endr

mg_start_info:
	.long 0

	.bss
	.balign 16
	.fill 8192
stack0_top:
	.fill 32768
stack3_top:
