iommu-cli := cmd_groups.c host_iommu.c acpi.c dmar.c ivrs.c
iommu-vmm := map.c map_type1.c
iommu-lib := groups.c bdf.c ranges.c
