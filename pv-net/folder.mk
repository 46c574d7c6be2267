# SPDX-License-Identifier: GPL-2.0-or-later
pv-net-cli := prep_virtio.c prep_tap.c prep_switch.c
pv-net-lib := tap_open.c
pv-net-vmm := virtio_net.c virtio_net_tx.c virtio_net_rx.c virtio_net_rings.c virtio_net_ctrl.c virtio_net_filter.c nic_tap.c nic_vhost.c tap_dev.c nic_switch.c vring_driver.c vhost_user.c vhost_user_msg.c
