sriov-cli := env.c pf.c vf_settings.c vf_netlink.c vf_record.c vf_holder.c vf_count.c vf_change.c nics.c nic_names.c cmd_nics.c cmd_vf.c prep_vf.c host_sriov.c
# tenants, a line each
sriov-cli += tenant_yaml.c tenant_conf.c tenant_conf_check.c tenant_conf_json.c
sriov-cli += cmd_tenant.c tenant_route.c tenant_world.c
sriov-cli += tenant_plan.c tenant_plan_place.c tenant_plan_mac.c tenant_plan_diff.c
sriov-cli += tenant_plan_steps.c tenant_plan_text.c tenant_cmd_plan.c
sriov-cli += tenant_store.c
sriov-cli += tenant_store_sql.c
sriov-cli += tenant_store_slots.c
sriov-cli += tenant_store_journal.c
sriov-cli += tenant_store_lease.c
sriov-cli += tenant_caps.c
sriov-cli += tenant_caps_table.c
sriov-cli += devlink.c
sriov-cli += vf_netlink_parse.c
sriov-cli += vf_counters.c
sriov-vmm :=
sriov-lib :=
