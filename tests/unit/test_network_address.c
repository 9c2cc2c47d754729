/* SPDX-License-Identifier: Apache-2.0
 *
 * test_network_address: arithmetic on addresses, prefixes and MACs.
 */
#include "neutron/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct arena *arena;

static void test_addresses(void **state)
{
    static const char *const texts[] = { "0.0.0.0", "10.0.0.255", "255.255.255.255", "::", "fd00::1", "2001:db8:0:1::ffff" };
    struct address address, again;
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_true(address_parse(texts[i], &address));
        assert_string_equal(address_text(arena, address), texts[i]);
        assert_true(address_from_key(address_key(arena, address), &again));
        assert_true(again.version == address.version && again.number == address.number);
    }
    static const char *const wrong[] = { "", "10.0.0", "10.0.0.256", "10.0.0.1/24", "x", "fd00::1::2", "0x10.1.1.1", " 10.0.0.1" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(address_parse(wrong[i], &address));
    assert_false(address_from_key("0a00000", &address));
    assert_false(address_from_key("0a00000g", &address));
}

static void test_keys_sort_as_addresses(void **state)
{
    struct address low, high;
    address_parse("9.255.255.255", &low);
    address_parse("10.0.0.0", &high);
    assert_true(strcmp(address_key(arena, low), address_key(arena, high)) < 0);
}

static void test_prefixes(void **state)
{
    struct network_prefix prefix, other;
    struct address address;
    assert_true(prefix_parse("10.0.0.5/24", &prefix));
    assert_string_equal(prefix_text(arena, &prefix), "10.0.0.0/24");
    assert_string_equal(address_text(arena, prefix_last(&prefix)), "10.0.0.255");
    assert_true(prefix_parse("0.0.0.0/0", &other));
    assert_true(prefix_overlaps(&prefix, &other) && prefix_overlaps(&other, &prefix));
    assert_string_equal(address_text(arena, prefix_last(&other)), "255.255.255.255");
    assert_true(prefix_parse("10.0.1.0/24", &other));
    assert_false(prefix_overlaps(&prefix, &other));
    assert_true(prefix_parse("::/0", &other));
    assert_false(prefix_overlaps(&prefix, &other)); /* another version */
    assert_true(prefix_parse("10.0.0.7", &other) && other.length == 32);
    address_parse("10.0.0.255", &address);
    assert_true(prefix_holds(&prefix, address));
    address_parse("10.0.1.0", &address);
    assert_false(prefix_holds(&prefix, address));
    static const char *const wrong[] = { "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0.0/2x", "fd00::/129", "/24",
        "10.0.0.0/24/1" };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        assert_false(prefix_parse(wrong[i], &prefix));
}

static void test_macs(void **state)
{
    uint8_t mac[6];
    struct network_prefix prefix;
    assert_true(mac_parse("FA-16-3E-00-0A-ff", mac));
    assert_string_equal(mac_text(arena, mac), "fa:16:3e:00:0a:ff");
    assert_false(mac_parse("fa:16:3e:00:0a", mac));
    assert_false(mac_parse("fa:16:3e:00:0a:fg", mac));
    assert_false(mac_parse("fa:16:3e:00:0a:ff:", mac));
    prefix_parse("fd00:1::/64", &prefix);
    mac_parse("fa:16:3e:00:0a:ff", mac);
    assert_string_equal(address_text(arena, prefix_eui64(&prefix, mac)), "fd00:1::f816:3eff:fe00:aff");
}

static int setup(void **state)
{
    arena = arena_create();
    return 0;
}

static int teardown(void **state)
{
    arena_destroy(arena);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_keys_sort_as_addresses),
        cmocka_unit_test(test_prefixes),
        cmocka_unit_test(test_macs),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
