/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a guest sees of a physical function's configuration space: a const table says for each
 * capability whether it is hidden, fixed, read from the device or emulated; what no rule names is
 * hidden, so a capability that is invented tomorrow does not reach a guest. Called once by
 * vfio_dev.c with a snapshot. PCI Local Bus 3.0 section 6.7, PCI Express Base 4.0 chapter 7;
 * SR-IOV, ATS, PRI, PASID and resizable BARs must never be seen: they act on the host. VPD is left
 * out.
 */
#include <errno.h>
#include <string.h>

#include "vfio_priv.h"

/* clang-format off */
enum {	/* PCI 3.0 section 6.1 */
	CFG_STATUS = 0x06, STATUS_CAPS = 1 << 4,
	CFG_REVISION = 0x08, CFG_HEADER = 0x0e,
	CFG_SUBSYS_VENDOR = 0x2c, CFG_SUBSYS = 0x2e, CFG_CAP_PTR = 0x34, CFG_INT_PIN = 0x3d,
	EXT_START = 0x100,
};
enum {	/* power management: PCI Power Management 1.2 section 3.2 */
	PM_CAP = 2, PM_VERSION_3 = 3,
	PM_CSR = 4, PM_CSR_STATE = 3, PM_CSR_NO_SOFT_RESET = 1 << 3,
};
enum {	/* PCI Express capability: PCIe 4.0 section 7.5.3 */
	EXP_FLAGS = 0x02, EXP_TYPE = 0xf0, EXP_TYPE_RC_END = 0x90,
	EXP_DEVCAP = 0x04, EXP_DEVCTL = 0x08, EXP_DEVSTA = 0x0a,
	EXP_LINK = 0x0c, EXP_LINK_LEN = 8, EXP_LEN_1 = 0x14,
	EXP_DEVCAP2 = 0x24, EXP_DEVCTL2 = 0x28, EXP_REST_2 = 0x2a, EXP_LEN_2 = 0x3c,
};
enum {	/* MSI: PCI 3.0 section 6.8.1 */
	MSI_CONTROL = 2,
};
enum {	/* MSI-X: PCI 3.0 section 6.8.2 */
	MSIX_CONTROL = 2, MSIX_TABLE = 4, MSIX_PBA = 8, MSIX_LEN = 12,
};
/* clang-format on */
#define EXP_DEVCAP_FLR       (1u << 28)
#define EXP_DEVCTL_WRITABLE  0x7fff /* all but "initiate FLR", which is an action and reads 0 */
#define EXP_DEVCAP2_SHOWN    0x1f   /* completion time-out only */
#define EXP_DEVCTL2_WRITABLE 0x031f /* completion time-out, ID-based ordering */

static const struct vfio_cap_rule std_rules[] = {
	{ 0x01, CAP_PM, 8, "power management" },
	{ 0x02, CAP_HIDE, 0, "AGP" },
	{ 0x03, CAP_HIDE, 0, "vital product data" },
	{ 0x04, CAP_HIDE, 0, "slot identification" },
	{ 0x05, CAP_MSI, 0, "MSI" },
	{ 0x06, CAP_HIDE, 0, "hot swap" },
	{ 0x07, CAP_HIDE, 0, "PCI-X" },
	{ 0x08, CAP_HIDE, 0, "HyperTransport" },
	{ 0x09, CAP_LIVE, 0, "vendor specific" },
	{ 0x0a, CAP_HIDE, 0, "debug port" },
	{ 0x0b, CAP_HIDE, 0, "CompactPCI" },
	{ 0x0c, CAP_HIDE, 0, "hot plug" },
	{ 0x0d, CAP_HIDE, 0, "bridge subsystem ids" },
	{ 0x0e, CAP_HIDE, 0, "AGP 8x" },
	{ 0x0f, CAP_HIDE, 0, "secure device" },
	{ 0x10, CAP_EXP, 0, "PCI Express" },
	{ 0x11, CAP_MSIX, MSIX_LEN, "MSI-X" },
	{ 0x12, CAP_HIDE, 0, "SATA" },
	{ 0x13, CAP_HIDE, 0, "advanced features" },
	{ 0x14, CAP_HIDE, 0, "enhanced allocation" },
	{ 0x15, CAP_HIDE, 0, "flattening portal bridge" },
};

static const struct vfio_cap_rule ext_rules[] = {
	{ 0x01, CAP_HIDE, 0, "advanced error reporting" },
	{ 0x02, CAP_HIDE, 0, "virtual channel" },
	{ 0x03, CAP_FIXED, 12, "device serial number" },
	{ 0x04, CAP_HIDE, 0, "power budgeting" },
	{ 0x0b, CAP_HIDE, 0, "vendor specific" },
	{ 0x0d, CAP_HIDE, 0, "access control services" },
	{ 0x0e, CAP_HIDE, 0, "alternative routing-ID" },
	{ 0x0f, CAP_HIDE, 0, "address translation services" },
	{ 0x10, CAP_HIDE, 0, "SR-IOV" },
	{ 0x11, CAP_HIDE, 0, "MR-IOV" },
	{ 0x12, CAP_HIDE, 0, "multicast" },
	{ 0x13, CAP_HIDE, 0, "page request interface" },
	{ 0x15, CAP_HIDE, 0, "resizable BAR" },
	{ 0x16, CAP_HIDE, 0, "dynamic power allocation" },
	{ 0x17, CAP_HIDE, 0, "TLP processing hints" },
	{ 0x18, CAP_HIDE, 0, "latency tolerance reporting" },
	{ 0x19, CAP_HIDE, 0, "secondary PCI Express" },
	{ 0x1b, CAP_HIDE, 0, "PASID" },
	{ 0x1d, CAP_HIDE, 0, "downstream port containment" },
	{ 0x1e, CAP_HIDE, 0, "L1 PM substates" },
	{ 0x1f, CAP_HIDE, 0, "precision time measurement" },
	{ 0x23, CAP_HIDE, 0, "designated vendor specific" },
	{ 0x24, CAP_HIDE, 0, "VF resizable BAR" },
	{ 0x25, CAP_HIDE, 0, "data link feature" },
	{ 0x26, CAP_HIDE, 0, "16 GT/s" },
	{ 0x2a, CAP_HIDE, 0, "32 GT/s" },
	{ 0x2e, CAP_HIDE, 0, "data object exchange" },
};

static const struct vfio_cap_rule unknown_rule = { 0, CAP_HIDE, 0, "unknown" };

#define N(a) (sizeof(a) / sizeof((a)[0]))

const struct vfio_cap_rule *vfio_cap_rule(bool extended, uint16_t id)
{
	const struct vfio_cap_rule *r = extended ? ext_rules : std_rules;
	size_t n = extended ? N(ext_rules) : N(std_rules);

	for (size_t i = 0; i < n; i++)
		if (r[i].id == id)
			return &r[i];
	return &unknown_rule;
}

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) | (uint32_t)get16(p + 2) << 16;
}

void vfio_config_id(const uint8_t *phys, struct pci_id *id)
{
	*id = (struct pci_id){
		.vendor = get16(phys),
		.device = get16(phys + 2),
		.subsys_vendor = get16(phys + CFG_SUBSYS_VENDOR),
		.subsys = get16(phys + CFG_SUBSYS),
		.class_code = get32(phys + CFG_REVISION) >> 8,
		.revision = phys[CFG_REVISION],
	};
}

static void config_copy(struct pci_dev *d, const uint8_t *phys, unsigned int off, unsigned int len)
{
	memcpy(d->cfg + off, phys + off, len);
}

static void config_live(struct vfio_layout *l, unsigned int off, unsigned int len)
{
	for (unsigned int i = off; i < off + len; i++)
		l->live[i / 8] |= (uint8_t)(1u << i % 8);
}

static void config_pm(struct pci_dev *d, unsigned int off)
{
	pci_set16(d, off + PM_CAP, PM_VERSION_3, 0);
	pci_set16(d, off + PM_CSR, PM_CSR_NO_SOFT_RESET, PM_CSR_STATE);
	pci_set16(d, off + 6, 0, 0);
}

/* On the guest's root bus there is no link, so the function is an integrated endpoint whatever it
 * is on the host. */
static void config_exp(struct pci_dev *d, const uint8_t *phys, unsigned int off, unsigned int len,
		       bool can_reset, struct vfio_layout *l)
{
	uint16_t flags = get16(phys + off + EXP_FLAGS);
	uint32_t devcap = get32(phys + off + EXP_DEVCAP) & ~EXP_DEVCAP_FLR;

	config_copy(d, phys, off + EXP_FLAGS, len - EXP_FLAGS);
	pci_set16(d, off + EXP_FLAGS, (uint16_t)((flags & ~EXP_TYPE) | EXP_TYPE_RC_END), 0);
	pci_set32(d, off + EXP_DEVCAP, devcap | (can_reset ? EXP_DEVCAP_FLR : 0), 0);
	pci_set16(d, off + EXP_DEVCTL, get16(phys + off + EXP_DEVCTL) & EXP_DEVCTL_WRITABLE,
		  EXP_DEVCTL_WRITABLE);
	config_live(l, off + EXP_DEVSTA, 2);
	memset(d->cfg + off + EXP_LINK, 0, EXP_LINK_LEN);
	if (len >= EXP_LEN_2) {
		memset(d->cfg + off + EXP_LEN_1, 0, EXP_DEVCAP2 - EXP_LEN_1);
		pci_set32(d, off + EXP_DEVCAP2, get32(phys + off + EXP_DEVCAP2) & EXP_DEVCAP2_SHOWN,
			  0);
		pci_set16(d, off + EXP_DEVCTL2, 0, EXP_DEVCTL2_WRITABLE);
		memset(d->cfg + off + EXP_REST_2, 0, EXP_LEN_2 - EXP_REST_2);
	}
	l->exp = off;
}

static int config_msix(const uint8_t *phys, unsigned int off, struct vfio_layout *l)
{
	uint32_t table = get32(phys + off + MSIX_TABLE), pba = get32(phys + off + MSIX_PBA);

	if (l->msix || (table & 7) >= PCI_N_BARS || (pba & 7) >= PCI_N_BARS)
		return -EINVAL;
	l->msix = off;
	l->n_vectors = (get16(phys + off + MSIX_CONTROL) & 0x7ffu) + 1;
	l->table_bar = table & 7;
	l->table_off = table & ~7u;
	l->pba_bar = pba & 7;
	l->pba_off = pba & ~7u;
	return 0;
}

static void config_msi(struct pci_dev *d, const uint8_t *phys, unsigned int off, unsigned int len,
		       struct vfio_layout *l)
{
	vfio_msi_config(d, off, get16(phys + off + MSI_CONTROL));
	l->msi = off;
	l->msi_len = len;
}

static unsigned int config_cap_len(const struct vfio_cap_rule *r, const uint8_t *phys,
				   unsigned int off)
{
	if (r->len)
		return r->len;
	if (r->action == CAP_MSI)
		return vfio_msi_len(get16(phys + off + MSI_CONTROL));
	if (r->action == CAP_EXP)
		return (get16(phys + off + EXP_FLAGS) & 15) >= 2 ? EXP_LEN_2 : EXP_LEN_1;
	/* vendor specific: the third byte is its length */
	return phys[off + 2] < 4 ? 4 : phys[off + 2];
}

static int config_std_cap(struct pci_dev *d, const uint8_t *phys, unsigned int off, bool can_reset,
			  struct vfio_layout *l)
{
	const struct vfio_cap_rule *r = vfio_cap_rule(false, phys[off]);
	unsigned int len;
	int ret;

	if (r->action == CAP_HIDE) {
		l->n_hidden++;
		return 0;
	}
	len = config_cap_len(r, phys, off);
	if (off + len > EXT_START)
		return -EINVAL;
	if (r->action == CAP_MSIX)
		return config_msix(phys, off, l);
	if ((r->action == CAP_EXP && l->exp) || (r->action == CAP_MSI && l->msi) ||
	    (ret = pci_add_cap_at(d, phys[off], off, len)) < 0)
		return -EINVAL;
	if (r->action == CAP_PM)
		config_pm(d, off);
	else if (r->action == CAP_EXP)
		config_exp(d, phys, off, len, can_reset, l);
	else if (r->action == CAP_MSI)
		config_msi(d, phys, off, len, l);
	else
		config_copy(d, phys, off + 2, len - 2);
	if (r->action == CAP_LIVE)
		config_live(l, off + 2, len - 2);
	return 0;
}

static int config_std_chain(struct pci_dev *d, const uint8_t *phys, bool can_reset,
			    struct vfio_layout *l)
{
	uint8_t seen[EXT_START / 4] = { 0 };
	unsigned int off = get16(phys + CFG_STATUS) & STATUS_CAPS ? phys[CFG_CAP_PTR] & ~3u : 0;

	while (off) {
		int ret;

		if (off < 0x40 || seen[off / 4])
			return -EINVAL;
		seen[off / 4] = 1;
		ret = config_std_cap(d, phys, off, can_reset, l);
		if (ret < 0)
			return ret;
		off = phys[off + 1] & ~3u;
	}
	return 0;
}

/*
 * The chain begins at 0x100 by definition: when what is there is hidden, an empty header stands in
 * its place and leads on to the first that is shown.
 */
static int config_ext_chain(struct pci_dev *d, const uint8_t *phys, struct vfio_layout *l)
{
	uint8_t seen[PCI_CFG_SIZE / 4] = { 0 };
	unsigned int off = EXT_START, prev = EXT_START;

	while (off) {
		uint32_t head = get32(phys + off);
		const struct vfio_cap_rule *r = vfio_cap_rule(true, head & 0xffff);

		if (seen[off / 4])
			return -EINVAL;
		seen[off / 4] = 1;
		if (!head || head == ~0u)
			break;
		if (r->action == CAP_HIDE) {
			l->n_hidden++;
		} else {
			if (off + r->len > PCI_CFG_SIZE)
				return -EINVAL;
			config_copy(d, phys, off, r->len);
			pci_set32(d, off, head & 0xfffff, 0);
			if (prev != off)
				pci_set32(d, prev, get32(d->cfg + prev) | off << 20, 0);
			prev = off;
		}
		off = head >> 20 & ~3u;
		if (off && off < EXT_START)
			return -EINVAL;
	}
	return 0;
}

int vfio_config_build(struct pci_dev *d, const uint8_t *phys, size_t size, bool can_reset,
		      struct vfio_layout *l)
{
	int ret;

	memset(l, 0, sizeof(*l));
	if (size < EXT_START || (phys[CFG_HEADER] & 0x7f) != 0)
		return -EINVAL;
	/* each function is alone in its slot: its pin is INTA# there */
	l->intx_pin = phys[CFG_INT_PIN];
	d->cfg[CFG_INT_PIN] = l->intx_pin;
	ret = config_std_chain(d, phys, can_reset, l);
	if (ret == 0 && size >= PCI_CFG_SIZE)
		ret = config_ext_chain(d, phys, l);
	return ret;
}
