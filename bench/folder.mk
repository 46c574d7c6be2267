bench-cli := cmd_lab.c lab/lab.c lab/lab_image.c lab/lab_initrd.c lab/lab_guard.c lab/lab_qemu.c lab/lab_wire.c lab/lab_session.c \
	lab/lab_copy.c
include bench/lab/lab.mk
bench-cli += cmd_compare.c cmd_bench.c bench_dma_open.c bench_dma_map.c bench_dma_report.c bench_stat.c bench_result.c bench_child.c bench_netdev.c bench_traffic.c bench_switch.c bench_monitor_fourlane.c bench_monitor_qemu.c \
	bench_run.c bench_run_linux.c bench_linux.c bench_lane.c bench_env.c bench_json.c bench_report.c bench_software_host.c
$(B)/obj/bench/bench_linux.o: bench/linux/init.sh
