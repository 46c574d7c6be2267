bench-cli := cmd_lab.c lab/lab.c lab/lab_image.c lab/lab_initrd.c lab/lab_guard.c lab/lab_qemu.c lab/lab_wire.c lab/lab_session.c \
	lab/lab_copy.c
include bench/lab/lab.mk
