core-lib := err.c opts.c paths.c rpc.c rpc_server.c version.c
core-cli := main_fourlane.c cmd.c cmd_host.c host.c cmd_run.c guest_conf.c yaml_file.c cpu_pin.c supervisor.c reboot.c console.c cmd_console.c cmd_ctl.c prep.c prep_disk.c late_fd.c guest_watch.c
core-switch := yaml_file.c
core-vmm := main_vmm.c monitor.c jail.c mem.c mem_huge.c mem_prefault.c bus.c io.c vm.c vm_ring.c vm_fake.c kvm_vm.c kvm_vcpu.c kvm_irq.c cpuid.c pci.c pci_msix.c serial.c \
	reset.c virtqueue.c virtqueue_packed.c virtio_dev.c virtio_pci.c virtio_blk.c virtio_blk_req.c virtio_blk_uring.c virtio_blk_threads.c \
	boot.c boot_elf.c boot_pvh.c boot_linux.c acpi.c aml.c pm.c nic.c nic_null.c nic_loop.c device.c
