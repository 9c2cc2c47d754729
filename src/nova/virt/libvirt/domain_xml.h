/* SPDX-License-Identifier: Apache-2.0
 *
 * domain_xml: a guest as a libvirt domain, with nova's choices: its devices, names, metadata element and image
 * properties. Pure text: needs no libvirt.
 */
#ifndef NOVA_VIRT_LIBVIRT_DOMAIN_XML_H
#define NOVA_VIRT_LIBVIRT_DOMAIN_XML_H

#include "nova/virt/driver.h"

#define DOMAIN_NOVA_NS "http://openstack.org/xmlns/libvirt/nova/1.1"

struct domain_settings {
    const char *virt_type;    /* "kvm" or "qemu" */
    const char *cpu_mode;     /* "none", "host-model", "host-passthrough", "maximum", "custom" */
    const char *cpu_model;    /* for custom */
    const char *machine_type; /* when the image names none */
    const char *disk_cache;   /* "none" where the file system can do O_DIRECT, else "writeback" */
    const char *vnc_listen;   /* NULL: no screen */
    const char *state_dir;
    bool vif_offload;
    int num_pcie_ports;
};

/* The domain. 400 UnsupportedHardware when an image property names hardware that this driver does not have. */
struct fault *domain_xml_write(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn,
    const char **ret_xml);

/* The root disk's device of that domain, "/dev/vda"; NULL without an image. Of hardware that is refused it says something. */
const char *domain_xml_root_device(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn);

/* One <interface>, to attach. */
struct fault *domain_xml_interface(struct arena *arena, const struct domain_settings *settings, const struct virt_spawn *spawn,
    const struct virt_nic *nic, const char **ret_xml);

#endif
