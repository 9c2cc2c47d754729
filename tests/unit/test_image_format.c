/* SPDX-License-Identifier: Apache-2.0
 * What the first bytes of an image say, and which of them glance refuses. */
#include "glance/image_format.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static unsigned char head[IMAGE_FORMAT_HEAD];

static void make_qcow2(unsigned version)
{
    memset(head, 0, sizeof(head));
    memcpy(head, "QFI\xfb", 4);
    head[7] = (unsigned char)version;
    head[28] = 1; /* 16 MiB */
    head[103] = 104;
}

static void test_qcow2(void **unused)
{
    (void)unused;
    struct image_format format;
    make_qcow2(3);
    image_format_inspect(head, 65536 > sizeof(head) ? sizeof(head) : 65536, &format);
    assert_string_equal(format.name, "qcow2");
    assert_int_equal(format.virtual_size, 16 << 20);
    assert_null(format.danger);
}

/* CVE-2024-32498: a backing or data file would be read from the host that converts the image. */
static void test_dangers(void **unused)
{
    (void)unused;
    struct image_format format;
    make_qcow2(2);
    head[15] = 112;
    image_format_inspect(head, 4096, &format);
    assert_string_equal(format.danger, "it names a backing file");
    make_qcow2(3);
    head[79] = 4;
    image_format_inspect(head, 4096, &format);
    assert_string_equal(format.danger, "it names a data file");
    make_qcow2(3);
    head[72] = 1;
    image_format_inspect(head, 4096, &format);
    assert_string_equal(format.danger, "it has qcow2 features that are not known");
    make_qcow2(3);
    for (size_t length = 8; length < 104; length++) {
        image_format_inspect(head, length, &format);
        assert_non_null(format.danger);
    }
}

static void test_others(void **unused)
{
    (void)unused;
    struct image_format format;
    memset(head, 0, sizeof(head));
    for (size_t length = 0; length < 64; length++) {
        image_format_inspect(head, length, &format);
        assert_null(format.name);
        assert_null(format.danger);
    }
    memcpy(head + 32769, "CD001", 5);
    image_format_inspect(head, sizeof(head), &format);
    assert_string_equal(format.name, "iso");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_qcow2),
        cmocka_unit_test(test_dangers),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
