vfio-cli := assign.c assign_bind.c assign_check.c assign_inuse.c assign_inuse_disk.c assign_inuse_console.c assign_keep.c assign_record.c assign_sys.c \
	cmd_assign.c cmd_export.c export.c host_vfio.c host_dma.c prep_vfio.c prep_choose.c prep_type1.c prep_iommufd.c prep_given.c prep_memory.c prep_reset.c prep_faults.c
vfio-vmm := vfio_dev.c vfio_config.c vfio_bar.c vfio_bar_split.c vfio_irq.c vfio_shared.c vfio_kernel.c vfio_intx.c \
	vfio_msi.c vfio_rom.c vfio_event.c
