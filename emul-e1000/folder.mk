emul-e1000-cli := prep_e1000.c
emul-e1000-vmm := e1000.c e1000_reg_table.c e1000_tx.c e1000_rx.c e1000_rx_look.c \
	e1000_offload.c e1000_irq.c e1000_timer.c e1000_phy.c e1000_eeprom.c e1000_stats.c
