sriov-cli := env.c pf.c vf_settings.c vf_netlink.c vf_record.c vf_holder.c vf_count.c vf_change.c nics.c nic_names.c cmd_nics.c cmd_vf.c prep_vf.c host_sriov.c
# tenants, a line each
sriov-cli += cmd_tenant.c tenant_route.c tenant_world.c
sriov-vmm :=
sriov-lib :=
