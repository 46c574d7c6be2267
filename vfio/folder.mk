vfio-cli := assign.c assign_record.c assign_inuse.c cmd_assign.c host_vfio.c prep_vfio.c
vfio-vmm := vfio_dev.c vfio_config.c vfio_bar.c vfio_bar_split.c vfio_irq.c vfio_shared.c
