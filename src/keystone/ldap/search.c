/* SPDX-License-Identifier: Apache-2.0
 *
 * Searches, page by page.
 */
#include "keystone/ldap/directory.h"

#include <string.h>

const char *ldap_value(struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *attribute)
{
    struct berval **values = ldap_get_values_len(ld, entry, attribute);
    const char *text = NULL;

    if (values != NULL && values[0] != NULL && memchr(values[0]->bv_val, '\0', values[0]->bv_len) == NULL)
        text = arena_strndup(arena, values[0]->bv_val, values[0]->bv_len);
    ldap_value_free_len(values);
    return text;
}

const char *ldap_dn(struct arena *arena, LDAP *ld, LDAPMessage *entry)
{
    char *dn = ldap_get_dn(ld, entry);
    const char *copy = arena_strdup(arena, dn);

    ldap_memfree(dn);
    return copy;
}

/* What is to be found after this page: empty when it was the last. */
static void read_cookie(LDAP *ld, LDAPMessage *answer, struct berval *cookie)
{
    LDAPControl **controls = NULL;
    int code;
    ber_int_t total;

    ber_memfree(cookie->bv_val);
    *cookie = (struct berval){ 0, NULL };
    if (ldap_parse_result(ld, answer, &code, NULL, NULL, NULL, &controls, 0) == LDAP_SUCCESS && controls != NULL) {
        LDAPControl *page = ldap_control_find(LDAP_CONTROL_PAGEDRESULTS, controls, NULL);
        if (page != NULL)
            ldap_parse_pageresponse_control(ld, page, &total, cookie);
    }
    ldap_controls_free(controls);
}

static int one_page(LDAP *ld, const struct ldap_search *search, int page_size, struct berval *cookie, LDAPMessage **ret)
{
    LDAPControl *page = NULL, *controls[2] = { NULL, NULL };
    int result = LDAP_SUCCESS;

    *ret = NULL;
    if (page_size > 0) {
        result = ldap_create_page_control(ld, page_size, cookie->bv_len > 0 ? cookie : NULL, 1, &page);
        controls[0] = page;
    }
    if (result == LDAP_SUCCESS)
        result = ldap_search_ext_s(ld, search->base, search->scope, search->filter, (char **)search->attributes, 0, controls, NULL,
            NULL, page_size > 0 || search->limit == 0 ? LDAP_NO_LIMIT : (int)search->limit, ret);
    if (page != NULL)
        ldap_control_free(page);
    return result;
}

static struct fault *take_entries(struct arena *arena, LDAP *ld, LDAPMessage *answer, const struct ldap_search *search,
    size_t *taken)
{
    for (LDAPMessage *entry = ldap_first_entry(ld, answer); entry != NULL; entry = ldap_next_entry(ld, entry)) {
        if (search->limit > 0 && *taken == search->limit)
            return NULL;
        TRY(search->take(search->argument, arena, ld, entry));
        (*taken)++;
    }
    return NULL;
}

static struct fault *run(struct directory *directory, struct arena *arena, LDAP *ld, const struct ldap_search *search,
    int *ret_result)
{
    int page_size = (int)config_int(directory->config, "ldap", "page_size");
    struct berval cookie = { 0, NULL };
    struct fault *fault = NULL;
    LDAPMessage *answer;
    size_t taken = 0;

    do {
        *ret_result = one_page(ld, search, page_size, &cookie, &answer);
        /* a limit that we asked for is no mistake */
        if (*ret_result == LDAP_SUCCESS || (*ret_result == LDAP_SIZELIMIT_EXCEEDED && search->limit > 0)) {
            *ret_result = LDAP_SUCCESS;
            fault = take_entries(arena, ld, answer, search, &taken);
            read_cookie(ld, answer, &cookie);
        }
        ldap_msgfree(answer);
    } while (fault == NULL && *ret_result == LDAP_SUCCESS && cookie.bv_len > 0 && (search->limit == 0 || taken < search->limit));
    ber_memfree(cookie.bv_val);
    return fault;
}

struct fault *ldap_find(struct directory *directory, struct arena *arena, const struct ldap_search *search)
{
    int result = LDAP_SERVER_DOWN;

    for (int tries = 0; tries < 2 && (result == LDAP_SERVER_DOWN || result == LDAP_UNAVAILABLE); tries++) {
        LDAP *ld;
        TRY(ldap_take(directory, arena, &ld));
        struct fault *fault = run(directory, arena, ld, search, &result);
        ldap_give(directory, ld, result != LDAP_SUCCESS && result != LDAP_NO_SUCH_OBJECT);
        if (fault != NULL)
            return fault;
    }
    return result == LDAP_SUCCESS || result == LDAP_NO_SUCH_OBJECT ? NULL : ldap_fault(directory, arena, result);
}
