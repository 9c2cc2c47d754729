/* SPDX-License-Identifier: Apache-2.0
 *
 * xml and domain_xml: nothing that a user names gets out of its element; the domain is what nova would make.
 */
#include "base/buf.h"
#include "nova/virt/libvirt/domain_xml.h"
#include "nova/virt/xml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct domain_settings settings = {
    .virt_type = "qemu", .cpu_mode = "maximum", .machine_type = "pc", .disk_cache = "none", .vnc_listen = "127.0.0.1",
    .state_dir = "/s", .num_pcie_ports = 2,
};

static const char *const addresses[] = { "10.0.0.5", "fd00::5", NULL };
static const struct virt_nic nic = {
    .port_id = "p1", .mac = "fa:16:3e:00:00:01", .tap = "tapp1", .mtu = 1450, .addresses = addresses,
};

static struct virt_spawn plain_spawn(void)
{
    return (struct virt_spawn){
        .uuid = "c3b3a2f4-6d39-4d7c-9c0a-0a5d1c6a4b11", .name = "instance-00000001", .display_name = "web", .user_id = "u",
        .project_id = "p", .package_version = "27.0.0", .flavor_name = "m1.tiny", .vcpus = 2, .memory_mb = 512, .root_gb = 1,
        .image_id = "i1", .image_format = "qcow2", .nics = &nic, .nic_count = 1,
    };
}

static void escapes(void **state)
{
    BUF_CLEANUP struct buf out = { 0 };
    struct xml_writer w = { .out = &out };
    xml_begin(&w, "a");
    xml_attribute(&w, "x", "\"'<>&\n");
    xml_attribute(&w, "none", NULL);
    xml_text(&w, "</a>]]>\x01\xff\xc3\xa4\xed\xa0\x80\xf4\x90\x80\x80");
    xml_element(&w, "b", "c", "d", NULL);
    xml_element_int(&w, "n", -5);
    xml_end(&w);
    assert_string_equal(out.data, "<a x=\"&quot;&#39;&lt;&gt;&amp;&#10;\">&lt;/a&gt;]]&gt;?" "?\xc3\xa4?" "?" "?" "?" "?" "?" "?"
                                  "<b c=\"d\"/><n>-5</n></a>\n");
}

static const char *domain_of(struct arena *arena, const struct virt_spawn *spawn)
{
    const char *xml = NULL;
    assert_null(domain_xml_write(arena, &settings, spawn, &xml));
    return xml;
}

static void a_domain(void **state)
{
    static const char *const parts[] = {
        "<domain type=\"qemu\"><uuid>c3b3a2f4-6d39-4d7c-9c0a-0a5d1c6a4b11</uuid><name>instance-00000001</name>"
        "<memory>524288</memory>",
        "<nova:instance xmlns:nova=\"http://openstack.org/xmlns/libvirt/nova/1.1\"><nova:package version=\"27.0.0\"/>"
        "<nova:name>web</nova:name><nova:creationTime>1970-01-01 00:00:00</nova:creationTime>",
        "<nova:flavor name=\"m1.tiny\"><nova:memory>512</nova:memory><nova:disk>1</nova:disk><nova:swap>0</nova:swap>",
        "<nova:user uuid=\"u\">N/A</nova:user>",
        "<nova:root type=\"image\" uuid=\"i1\"/>",
        "<nova:port uuid=\"p1\"><nova:ip type=\"fixed\" address=\"10.0.0.5\" ipVersion=\"4\"/>"
        "<nova:ip type=\"fixed\" address=\"fd00::5\" ipVersion=\"6\"/></nova:port>",
        "<entry name=\"product\">OpenStack Nova</entry>",
        "<type machine=\"pc\">hvm</type><boot dev=\"hd\"/><smbios mode=\"sysinfo\"/>",
        "<tb-cache unit=\"MiB\">32</tb-cache>",
        "<cpu mode=\"maximum\" check=\"none\"><topology sockets=\"2\" cores=\"1\" threads=\"1\"/></cpu>",
        "<source file=\"/s/instances/c3b3a2f4-6d39-4d7c-9c0a-0a5d1c6a4b11/disk\"/><target dev=\"vda\" bus=\"virtio\"/>",
        "<interface type=\"ethernet\"><mac address=\"fa:16:3e:00:00:01\"/><target dev=\"tapp1\" managed=\"no\"/>"
        "<model type=\"virtio\"/><driver name=\"qemu\"><host csum=\"off\"",
        "<mtu size=\"1450\"/>",
        "console.log\" append=\"on\"/>",
        "<memballoon model=\"virtio\"><stats period=\"10\"/></memballoon>",
    };
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct virt_spawn spawn = plain_spawn();
    const char *xml = domain_of(arena, &spawn);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(xml, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], xml);
}

static void names_stay_inside(void **state)
{
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct virt_spawn spawn = plain_spawn();
    spawn.display_name = spawn.flavor_name = spawn.user_name = "</nova:name></metadata><os><kernel>/etc/shadow</kernel></os>\"'";
    const char *xml = domain_of(arena, &spawn);
    assert_null(strstr(xml, "<kernel>"));
    assert_non_null(strstr(xml, "&lt;kernel&gt;/etc/shadow"));
}

static void image_properties(void **state)
{
    static const struct virt_pair properties[] = {
        { "hw_machine_type", "q35" }, { "hw_disk_bus", "scsi" }, { "hw_vif_model", "e1000e" }, { "hw_video_model", "vga" },
        { "hw_firmware_type", "uefi" }, { "hw_qemu_guest_agent", "yes" },
    };
    static const struct virt_pair specs[] = { { "hw:cpu_sockets", "1" } };
    static const char *const parts[] = {
        "<os firmware=\"efi\"><type machine=\"q35\">", "<target dev=\"sda\" bus=\"scsi\"/>", "model=\"virtio-scsi\"",
        "model=\"pcie-root-port\"", "<model type=\"e1000e\"/>", "<model type=\"vga\"/>", "org.qemu.guest_agent.0",
        "<topology sockets=\"1\" cores=\"2\" threads=\"1\"/>", "<target dev=\"sdb\" bus=\"sata\"/><readonly/>",
        "<target dev=\"sdc\" bus=\"scsi\"/>",
    };
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct virt_spawn spawn = plain_spawn();
    spawn.image_properties = properties;
    spawn.image_property_count = 6;
    spawn.extra_specs = specs;
    spawn.extra_spec_count = 1;
    spawn.swap_mb = 1;
    spawn.image_format = "iso";
    const char *xml = domain_of(arena, &spawn);
    assert_non_null(strstr(xml, "<boot dev=\"cdrom\"/>"));
    spawn.image_format = "qcow2";
    spawn.config_drive_path = "/s/c";
    xml = domain_of(arena, &spawn);
    for (size_t i = 0; i + 2 < sizeof(parts) / sizeof(parts[0]); i++)
        if (strstr(xml, parts[i]) == NULL)
            fail_msg("no %s in %s", parts[i], xml);
    assert_non_null(strstr(xml, "<target dev=\"sdb\" bus=\"scsi\"/>"));            /* swap */
    assert_non_null(strstr(xml, "<target dev=\"sdc\" bus=\"sata\"/><readonly/>")); /* config drive */
}

/* The name in the API is the one in the domain. */
static void root_device(void **state)
{
    static const struct virt_pair scsi = { "hw_disk_bus", "scsi" }, ide = { "hw_disk_bus", "ide" },
        q35 = { "hw_machine_type", "q35" };
    static const struct {
        const struct virt_pair *property;
        const char *format, *device;
    } rows[] = {
        { NULL, "qcow2", "vda" }, { &scsi, "raw", "sda" }, { &ide, "qcow2", "hda" }, { NULL, "iso", "hda" }, { &q35, "iso", "sda" },
    };
    ARENA_CLEANUP struct arena *arena = arena_create();
    struct virt_spawn spawn = plain_spawn();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        spawn.image_properties = rows[i].property;
        spawn.image_property_count = rows[i].property != NULL ? 1 : 0;
        spawn.image_format = rows[i].format;
        assert_string_equal(domain_xml_root_device(arena, &settings, &spawn), arena_printf(arena, "/dev/%s", rows[i].device));
        assert_non_null(strstr(domain_of(arena, &spawn), arena_printf(arena, "<target dev=\"%s\"", rows[i].device)));
    }
    spawn.image_id = NULL;
    assert_null(domain_xml_root_device(arena, &settings, &spawn));
}

static void unknown_hardware(void **state)
{
    static const char *const keys[] = { "hw_disk_bus", "hw_vif_model", "hw_video_model", "hw_firmware_type", "hw_cdrom_bus" };
    static const char *const values[] = { "", " ", "virtio scsi", "xen", "virti", " virtio", "'/><x" };
    ARENA_CLEANUP struct arena *arena = arena_create();
    for (size_t k = 0; k < sizeof(keys) / sizeof(keys[0]); k++)
        for (size_t v = 0; v < sizeof(values) / sizeof(values[0]); v++) {
            const struct virt_pair property = { keys[k], values[v] };
            const char *xml;
            struct virt_spawn spawn = plain_spawn();
            spawn.image_properties = &property;
            spawn.image_property_count = 1;
            struct fault *fault = domain_xml_write(arena, &settings, &spawn, &xml);
            assert_non_null(fault);
            assert_int_equal(fault->status, 400);
            assert_string_equal(fault->code, "UnsupportedHardware");
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(escapes),          cmocka_unit_test(a_domain),         cmocka_unit_test(names_stay_inside),
        cmocka_unit_test(image_properties), cmocka_unit_test(unknown_hardware), cmocka_unit_test(root_device),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
