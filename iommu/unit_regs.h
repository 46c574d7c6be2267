/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Capability registers of remapping units, as sysfs shows them. VT-d: Intel Virtualization
 * Technology for Directed I/O, revision 4.1, sections 11.4.2 (CAP_REG) and 11.4.3 (ECAP_REG).
 * AMD-Vi: AMD I/O Virtualization Technology Specification, 48882, chapter 3: the capability header
 * (offset 00h of the PCI capability) and the extended feature register (MMIO offset 0030h).
 * Constants only.
 */
#ifndef IOMMU_UNIT_REGS_H
#define IOMMU_UNIT_REGS_H

#include <stdint.h>

#define UNIT_BIT(reg, n)	((unsigned int)((reg) >> (n)) & 1u)
#define UNIT_BITS(reg, hi, lo)	((unsigned int)((reg) >> (lo)) & ((2u << ((hi) - (lo))) - 1u))

/* ---- VT-d: capability register --------------------------------------------------- 11.4.2 ---- */
#define VTD_CAP_CM(c)		UNIT_BIT(c, 7)		/* caching mode: an emulated unit */
#define VTD_CAP_SAGAW(c)	UNIT_BITS(c, 12, 8)	/* bit 1: 39 bits, 2: 48 bits, 3: 57 bits */
#define VTD_CAP_MGAW(c)		(UNIT_BITS(c, 21, 16) + 1)	/* guest address bits */
#define VTD_CAP_2M(c)		UNIT_BIT(c, 34)		/* SSLPS: pages of 2 MiB */
#define VTD_CAP_1G(c)		UNIT_BIT(c, 35)		/* SSLPS: pages of 1 GiB */
#define VTD_CAP_FS1G(c)		UNIT_BIT(c, 56)		/* 1 GiB pages of first-stage tables */
#define VTD_CAP_PI(c)		UNIT_BIT(c, 59)		/* posted interrupts */
#define VTD_CAP_FS5L(c)		UNIT_BIT(c, 60)		/* 57 bits of first-stage tables */

/* ---- VT-d: extended capability register ------------------------------------------- 11.4.3 ---- */
#define VTD_ECAP_C(e)		UNIT_BIT(e, 0)		/* page walks are coherent */
#define VTD_ECAP_DT(e)		UNIT_BIT(e, 2)		/* device-TLBs (ATS) */
#define VTD_ECAP_IR(e)		UNIT_BIT(e, 3)		/* interrupt remapping */
#define VTD_ECAP_EIM(e)		UNIT_BIT(e, 4)		/* x2APIC ids in it */
#define VTD_ECAP_PT(e)		UNIT_BIT(e, 6)		/* pass-through */
#define VTD_ECAP_SC(e)		UNIT_BIT(e, 7)		/* snoop control */
#define VTD_ECAP_NEST(e)	UNIT_BIT(e, 26)		/* nested translation */
#define VTD_ECAP_PRS(e)		UNIT_BIT(e, 29)		/* page requests */
#define VTD_ECAP_PSS(e)		UNIT_BITS(e, 39, 35)	/* PASID bits, minus 1 */
#define VTD_ECAP_PASID(e)	UNIT_BIT(e, 40)
#define VTD_ECAP_SMTS(e)	UNIT_BIT(e, 43)		/* scalable mode */
#define VTD_ECAP_SSADS(e)	UNIT_BIT(e, 45)		/* accessed and dirty bits */
#define VTD_ECAP_FSTS(e)	UNIT_BIT(e, 47)		/* first-stage tables */

/* ---- AMD-Vi: capability header ------------------------------------------- capability 00h ---- */
#define AMDVI_CAP_ID(c)		UNIT_BITS(c, 7, 0)
#define AMDVI_CAP_IOTLB(c)	UNIT_BIT(c, 24)		/* remote IOTLBs (ATS) */
#define AMDVI_CAP_NPCACHE(c)	UNIT_BIT(c, 26)		/* caches what is not present: an emulated unit */
#define AMDVI_CAP_EFR(c)	UNIT_BIT(c, 27)		/* the feature register is there */

/* ---- AMD-Vi: extended feature register ------------------------------------------ MMIO 0030h ---- */
#define AMDVI_EFR_PPR(f)	UNIT_BIT(f, 1)		/* page requests */
#define AMDVI_EFR_XT(f)		UNIT_BIT(f, 2)		/* x2APIC ids in interrupt remapping */
#define AMDVI_EFR_GT(f)		UNIT_BIT(f, 4)		/* guest tables, PASID */
#define AMDVI_EFR_GA(f)		UNIT_BIT(f, 7)		/* guest virtual APIC table format */
#define AMDVI_EFR_HATS(f)	UNIT_BITS(f, 11, 10)	/* levels of host tables, minus 4 */
#define AMDVI_EFR_GAM(f)	UNIT_BITS(f, 23, 21)	/* 1: interrupts posted to a guest's APIC */
#define AMDVI_EFR_PASMAX(f)	UNIT_BITS(f, 36, 32)	/* PASID bits, minus 1 */
#define AMDVI_EFR_HA(f)		UNIT_BIT(f, 49)		/* accessed bits of host tables */
#define AMDVI_EFR_HD(f)		UNIT_BIT(f, 52)		/* dirty bits of host tables */

#endif
