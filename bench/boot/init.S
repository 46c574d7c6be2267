/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * /init of the guest whose start is timed: one line on the console, then power off. Nothing of a
 * library, so that what is timed is the monitor and the kernel.
 */
	.set SYS_write, 1
	.set SYS_reboot, 169
	.set REBOOT_MAGIC1, 0xfee1dead
	.set REBOOT_MAGIC2, 672274793
	.set REBOOT_POWER_OFF, 0x4321fedc

	.section .rodata
mark:	.ascii "INIT-REACHED\n"
	.set MARK_LEN, . - mark

	.text
	.globl _start
_start:
	mov $SYS_write, %eax
	mov $1, %edi
	lea mark(%rip), %rsi
	mov $MARK_LEN, %edx
	syscall
1:	mov $SYS_reboot, %eax
	mov $REBOOT_MAGIC1, %edi
	mov $REBOOT_MAGIC2, %esi
	mov $REBOOT_POWER_OFF, %edx
	syscall
	jmp 1b

	.section .note.GNU-stack, "", @progbits
