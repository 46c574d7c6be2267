/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A made-up driver's table of VFs (see helper_vf_driver.h). */
#include "helper_vf_driver.h"

#include <string.h>

void vf_driver_take(struct vf_settings *vf, enum vf_setting s, const struct vf_settings *to)
{
	switch (s) {
	case VF_MAC: memcpy(vf->mac, to->mac, sizeof(vf->mac)); break;
	case VF_VLAN:
		vf->vlan = to->vlan;
		vf->qos = to->qos;
		vf->proto = to->proto;
		break;
	case VF_RATE:
		vf->max_tx_mbit = to->max_tx_mbit;
		vf->min_tx_mbit = to->min_tx_mbit;
		break;
	case VF_SPOOF: vf->spoof_check = to->spoof_check; break;
	case VF_TRUST: vf->trust = to->trust; break;
	case VF_LINK: vf->link = to->link; break;
	case VF_N_SETTINGS: break;
	}
}
