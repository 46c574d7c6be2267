iommu-cli := cmd_groups.c groups_json.c host_iommu.c units.c words.c firmware.c isolation.c acpi.c dmar.c ivrs.c faults.c faults_log.c
iommu-vmm := map.c
iommu-lib := groups.c bdf.c ranges.c map_type1.c map_iommufd.c vfio_info.c small_pages.c
