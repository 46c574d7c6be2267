#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# What host and groups say in the software host, beside what the kernel says. Run in the lab as root; speaks TAP.
export PATH=/opt/fourlane/bin:$PATH
[ -e /etc/fourlane-lab ] || { echo "1..0 # SKIP not in the software host"; exit 0; }
tmp=$(mktemp -d)
trap 'fourlane vf remove lab1 >/dev/null 2>&1; rm -rf "$tmp"' EXIT
T=0
is() { T=$((T + 1)); if [ "$2" = "$3" ]; then echo "ok $T - $1"; else echo "not ok $T - $1"; echo "# got '$2', wanted '$3'"; fi; }
host() { jq -r "$1" "$tmp/host"; }
group() { jq -r ".groups[] | select(any(.members[]; .device == \"$1\")) | $2" "$tmp/groups"; }
kind=$(sed -n 's/.*lab.iommu=\([a-z]*\).*/\1/p' /proc/cmdline)
echo "1..17"

fourlane vf create lab1 1 >/dev/null
vf=$(basename "$(readlink /sys/class/net/lab1/device/virtfn0)")
fourlane host --json >"$tmp/host"
fourlane groups --json >"$tmp/groups"

# --- host ---------------------------------------------------------------------------------------------------------------
case $kind in
intel) want="vt-d DMAR dmar0" ;;
amd) want="amd-vi IVRS ivhd0" ;;
esac
is the_iommu_is_named "$(host '"\(.iommu.kind) \(.iommu.firmware.table) \(.iommu.units[0].name)"')" "$want"
is the_table_of_the_firmware_is_good "$(host .iommu.firmware.error)" null
is interrupt_remapping_is_as_the_kernel_has_it "$(host .iommu.interrupt_remapping)" \
	"$(grep -q ' IR-' /proc/interrupts && echo true || echo false)"
is every_group_is_counted "$(host .iommu.groups)" "$(ls /sys/kernel/iommu_groups | wc -l)"
is the_boot_line_is_explained "$(host '[.iommu.kernel_parameters[].name] | index("intel_iommu") != null')" \
	"$(grep -q intel_iommu=on /proc/cmdline && echo true || echo false)"
is the_lane_is_ready "$(host .lanes.direct.ready)" true

# --- groups -------------------------------------------------------------------------------------------------------------
is members_are_those_of_the_kernel "$(jq -r '.groups[].members[].device' "$tmp/groups" | sort | xargs)" \
	"$(ls /sys/kernel/iommu_groups/*/devices | grep : | grep -v '^/' | sort | xargs)"
nic=$(basename "$(readlink -f /sys/class/net/lab0/device)")
is a_nic_in_use_is_told "$(group "$nic" .verdict)" "in use by the host"
is with_the_step_that_mends_it "$(group "$nic" .mend)" "fourlane assign $nic"
is it_is_isolated "$(group "$nic" '.members[0].acs.isolated')" true
is a_vf_can_be_assigned "$(group "$vf" .assignable)" true
is the_board_functions_share_their_group "$(group 0000:00:1f.2 '.members | length')" 3
is and_the_cause_is_named "$(group 0000:00:1f.2 .shared_because)" \
	"0000:00:1f.2 is a function of one device with 0000:00:1f.0, without ACS between them"
is the_msi_window_is_reserved "$(group "$nic" '[.reserved[] | select(.kind == "msi") | .first][0]')" 0xfee00000
is windows_are_those_of_the_kernel "$(jq '[.groups[].reserved[]] | length' "$tmp/groups")" \
	"$(cat /sys/kernel/iommu_groups/*/reserved_regions | wc -l)"

# --- ACS switched off by hand at the port: the group stays as it was made at boot, isolation is gone ----------------------
port=$(basename "$(dirname "$(readlink -f /sys/bus/pci/devices/$nic)")")
setpci -s "$port" ECAP_ACS+6.w=0001 2>/dev/null
fourlane groups --json >"$tmp/groups"
is a_port_with_acs_off_breaks_isolation "$(group "$nic" '.members[0].acs | "\(.isolated) \(.broken_by[0].device) \(.broken_by[0].why)"')" \
	"false $port root port whose ACS has RR CR UF off"

# --- assigned: the group is free ------------------------------------------------------------------------------------------
fourlane assign "$nic" >/dev/null
fourlane groups --json >"$tmp/groups"
is an_assigned_nic_can_be_given_away "$(group "$nic" '"\(.assignable) \(.members[0].driver)"')" "true vfio-pci"
fourlane unassign "$nic" >/dev/null
