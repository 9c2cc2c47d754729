/* SPDX-License-Identifier: Apache-2.0
 *
 * Users and groups of a directory, as [ldap] says where they are and what their attributes mean
 * (keystone/identity/backends/ldap).
 */
#include "keystone/identity/directory_driver.h"
#include "keystone/identity/directory_filter.h"
#include "keystone/ldap/directory.h"

#include "oslo/json.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <strings.h>

#define IN_CHAIN "1.2.840.113556.1.4.1941" /* Active Directory's rule for groups within groups */

enum { ATTRIBUTES = 40, BATCH = 50 };

/* ---- Opening ---- */

static const char *tree(const struct directory *directory, const char *name, const char *unit)
{
    const char *set = ldap_setting(directory, name);

    return set != NULL ? set : arena_printf(directory->arena, "%s,%s", unit, config_str(directory->config, "ldap", "suffix"));
}

static void open_pool(const struct directory *directory, struct ldap_pool *pool, const char *use, const char *size,
    const char *lifetime)
{
    bool used = config_bool(directory->config, "ldap", "use_pool") && config_bool(directory->config, "ldap", use);
    int64_t wanted = used ? config_int(directory->config, "ldap", size) : 0;

    pool->size = wanted > POOL_ROOM ? POOL_ROOM : (int)wanted;
    pool->lifetime_us = config_int(directory->config, "ldap", lifetime) * 1000000;
}

static void driver_close(void *handle);

/* What cannot work, in the reference's words. */
static struct fault *check_tls(const struct directory *directory, struct arena *arena)
{
    const char *file = ldap_setting(directory, "tls_cacertfile"), *folder = ldap_setting(directory, "tls_cacertdir");
    bool start = config_bool(directory->config, "ldap", "use_tls"), whole = strcasestr(directory->urls, "ldaps://") != NULL;
    struct stat about;

    if (start && whole)
        return fault_new(arena, 500, NULL, "Invalid TLS / LDAPS combination");
    if (!start && !whole)
        return NULL;
    if (file != NULL && (stat(file, &about) != 0 || !S_ISREG(about.st_mode)))
        return fault_new(arena, 500, NULL, "tls_cacertfile %s not found or is not a file", file);
    if (file == NULL && folder != NULL && (stat(folder, &about) != 0 || !S_ISDIR(about.st_mode)))
        return fault_new(arena, 500, NULL, "tls_cacertdir %s not found or is not a directory", folder);
    return NULL;
}

static struct fault *driver_open(struct arena *arena, const struct config *config, void **ret)
{
    struct directory *directory = calloc(1, sizeof(*directory));
    int level = (int)config_int(config, "ldap", "debug_level");

    if (directory == NULL)
        abort();
    directory->arena = arena_create();
    directory->config = config;
    pthread_mutex_init(&directory->lock, NULL);
    char *urls = arena_strdup(directory->arena, config_str(config, "ldap", "url"));
    for (char *c = urls; *c != '\0'; c++)
        if (*c == ',')
            *c = ' ';
    directory->urls = urls;
    directory->user_tree = tree(directory, "user_tree_dn", "ou=Users");
    directory->group_tree = tree(directory, "group_tree_dn", "ou=UserGroups");
    directory->emulation_dn = ldap_setting(directory, "user_enabled_emulation_dn");
    if (directory->emulation_dn == NULL)
        directory->emulation_dn = arena_printf(directory->arena, "cn=enabled_users,%s", directory->user_tree);
    open_pool(directory, &directory->searches, "use_pool", "pool_size", "pool_connection_lifetime");
    open_pool(directory, &directory->logins, "use_auth_pool", "auth_pool_size", "auth_pool_connection_lifetime");
    if (level > 0)
        ldap_set_option(NULL, LDAP_OPT_DEBUG_LEVEL, &level);
    struct fault *fault = check_tls(directory, arena);
    if (fault != NULL)
        driver_close(directory);
    else
        *ret = directory;
    return fault;
}

static void driver_close(void *handle)
{
    struct directory *directory = handle;

    if (directory == NULL)
        return;
    ldap_close_idle(directory);
    pthread_mutex_destroy(&directory->lock);
    arena_destroy(directory->arena);
    free(directory);
}

/* ---- What [ldap] says of a kind ---- */

struct form {
    enum directory_kind kind;
    const char *tree, *id, *name, *description, *class, *filter;
    int scope;
};

static struct form form_of(const struct directory *directory, enum directory_kind kind)
{
    bool users = kind == DIRECTORY_USERS;
    const char *scope = ldap_setting(directory, "query_scope");

    return (struct form){
        .kind = kind, .tree = users ? directory->user_tree : directory->group_tree,
        .id = ldap_setting(directory, users ? "user_id_attribute" : "group_id_attribute"),
        .name = ldap_setting(directory, users ? "user_name_attribute" : "group_name_attribute"),
        .description = ldap_setting(directory, users ? "user_description_attribute" : "group_desc_attribute"),
        .class = ldap_setting(directory, users ? "user_objectclass" : "group_objectclass"),
        .filter = ldap_setting(directory, users ? "user_filter" : "group_filter"),
        .scope = scope != NULL && strcmp(scope, "sub") == 0 ? LDAP_SCOPE_SUBTREE : LDAP_SCOPE_ONELEVEL,
    };
}

static bool is_ignored(const struct directory *directory, const struct form *form, const char *member)
{
    const char *const *ignored = config_list(directory->config, "ldap",
        form->kind == DIRECTORY_USERS ? "user_attribute_ignore" : "group_attribute_ignore", NULL);

    for (; *ignored != NULL; ignored++)
        if (strcmp(*ignored, member) == 0)
            return true;
    return false;
}

/* "attribute:member" pairs. */
static const char *const *extra_pairs(const struct directory *directory, const struct form *form)
{
    return config_list(directory->config, "ldap", form->kind == DIRECTORY_USERS ? "user_additional_attribute_mapping" :
        "group_additional_attribute_mapping", NULL);
}

static void wanted_attributes(const struct directory *directory, struct arena *arena, const struct form *form,
    const char *ret[static ATTRIBUTES])
{
    static const char *const of_users[] = { "user_mail_attribute", "user_enabled_attribute", "user_default_project_id_attribute" };
    size_t count = 0;

    ret[count++] = form->id;
    ret[count++] = form->name;
    if (form->description != NULL)
        ret[count++] = form->description;
    for (size_t i = 0; form->kind == DIRECTORY_USERS && i < sizeof(of_users) / sizeof(of_users[0]); i++)
        if (ldap_setting(directory, of_users[i]) != NULL)
            ret[count++] = ldap_setting(directory, of_users[i]);
    for (const char *const *pair = extra_pairs(directory, form); *pair != NULL && count < ATTRIBUTES - 1; pair++)
        ret[count++] = arena_strndup(arena, *pair, strcspn(*pair, ":"));
    ret[count] = NULL;
}

/* ---- From an entry ---- */

/* The value of the first part of a DN when it is of this attribute; NULL otherwise. */
static const char *dn_part(struct arena *arena, const char *dn, const char *attribute)
{
    LDAPDN parsed = NULL;
    const char *value = NULL;

    if (ldap_str2dn(dn, &parsed, LDAP_DN_FORMAT_LDAPV3) != LDAP_SUCCESS || parsed == NULL)
        return NULL;
    if (parsed[0] != NULL && parsed[0][0] != NULL && strlen(attribute) == parsed[0][0]->la_attr.bv_len &&
        strncasecmp(attribute, parsed[0][0]->la_attr.bv_val, parsed[0][0]->la_attr.bv_len) == 0)
        value = arena_strndup(arena, parsed[0][0]->la_value.bv_val, parsed[0][0]->la_value.bv_len);
    ldap_dnfree(parsed);
    return value;
}

static size_t value_count(LDAP *ld, LDAPMessage *entry, const char *attribute)
{
    struct berval **values = ldap_get_values_len(ld, entry, attribute);
    size_t count = (size_t)ldap_count_values_len(values);

    ldap_value_free_len(values);
    return count;
}

static bool is_enabled(const struct directory *directory, struct arena *arena, LDAP *ld, LDAPMessage *entry)
{
    const char *attribute = ldap_setting(directory, "user_enabled_attribute");
    const char *text = attribute != NULL ? ldap_value(arena, ld, entry, attribute) : NULL;
    int64_t mask = config_int(directory->config, "ldap", "user_enabled_mask");

    if (text == NULL)
        text = config_str(directory->config, "ldap", "user_enabled_default");
    if (mask != 0)
        return ((text != NULL ? strtoll(text, NULL, 10) : 0) & mask) != mask;
    bool enabled = text != NULL && strcasecmp(text, "true") == 0;
    return config_bool(directory->config, "ldap", "user_enabled_invert") ? !enabled : enabled;
}

/* What a search collects. */
struct collection {
    struct directory *directory;
    struct form form;
    struct directory_entry *entries;
    const char **dns;
    size_t count, capacity;
};

static void make_room(struct collection *all, struct arena *arena)
{
    if (all->count < all->capacity)
        return;
    size_t capacity = all->capacity * 2 + 16;
    struct directory_entry *entries = ARENA_ARRAY(arena, struct directory_entry, capacity);
    const char **dns = ARENA_ARRAY(arena, const char *, capacity);
    if (all->count > 0) {
        memcpy(entries, all->entries, all->count * sizeof(*entries));
        memcpy(dns, all->dns, all->count * sizeof(*dns));
    }
    all->entries = entries;
    all->dns = dns;
    all->capacity = capacity;
}

static const char *member_value(struct collection *all, struct arena *arena, LDAP *ld, LDAPMessage *entry, const char *setting,
    const char *member)
{
    const char *attribute = ldap_setting(all->directory, setting);

    return attribute == NULL || is_ignored(all->directory, &all->form, member) ? NULL : ldap_value(arena, ld, entry, attribute);
}

static bool is_blank(const char *text)
{
    return text == NULL || text[strspn(text, " \t\r\n")] == '\0';
}

/* An entry without an id or a name is none of ours. */
static struct fault *collect(void *argument, struct arena *arena, LDAP *ld, LDAPMessage *entry)
{
    struct collection *all = argument;
    const struct form *form = &all->form;
    const char *dn = ldap_dn(arena, ld, entry), *name = ldap_value(arena, ld, entry, form->name);
    const char *id = value_count(ld, entry, form->id) > 1 ? dn_part(arena, dn, form->id) : ldap_value(arena, ld, entry, form->id);
    bool users = form->kind == DIRECTORY_USERS;

    if (is_blank(name) || is_blank(id))
        return NULL;
    make_room(all, arena);
    struct directory_entry *one = &all->entries[all->count];
    *one = (struct directory_entry){ .id = id, .name = name, .enabled = !users || is_enabled(all->directory, arena, ld, entry) };
    if (form->description != NULL && !is_ignored(all->directory, form, "description"))
        one->description = ldap_value(arena, ld, entry, form->description);
    if (users) {
        one->email = member_value(all, arena, ld, entry, "user_mail_attribute", "email");
        one->default_project_id = member_value(all, arena, ld, entry, "user_default_project_id_attribute", "default_project_id");
    }
    for (const char *const *pair = extra_pairs(all->directory, form); *pair != NULL; pair++) {
        size_t length = strcspn(*pair, ":");
        const char *value = (*pair)[length] == ':' ? ldap_value(arena, ld, entry, arena_strndup(arena, *pair, length)) : NULL;
        if (value == NULL)
            continue;
        if (one->more == NULL)
            one->more = json_keep(arena, json_object());
        json_object_set_new(one->more, *pair + length + 1, json_string(value));
    }
    all->dns[all->count++] = dn;
    return NULL;
}

/* Searches for those that a condition ("" for all) and [ldap] choose. */
static struct fault *collect_all(struct collection *all, struct arena *arena, const char *condition, size_t limit)
{
    const struct form *form = &all->form;
    const char *attributes[ATTRIBUTES];

    wanted_attributes(all->directory, arena, form, attributes);
    return ldap_find(all->directory, arena, &(struct ldap_search){ .base = form->tree, .scope = form->scope, .limit = limit,
        .filter = arena_printf(arena, "(&%s%s(objectClass=%s)(%s=*))", condition, form->filter != NULL ? form->filter : "",
            form->class, form->id), .attributes = attributes, .take = collect, .argument = all });
}

static const char *equals(struct arena *arena, const char *attribute, const char *value)
{
    BUF_CLEANUP struct buf out = { 0 };

    filter_equals(&out, attribute, value);
    return arena_strdup(arena, buf_text(&out));
}

/* ---- Members ---- */

struct members {
    const char *attribute;
    const char **values;
    size_t count;
};

static struct fault *collect_members(void *argument, struct arena *arena, LDAP *ld, LDAPMessage *entry)
{
    struct members *members = argument;
    struct berval **values = ldap_get_values_len(ld, entry, members->attribute);
    size_t count = (size_t)ldap_count_values_len(values);
    const char **all = ARENA_ARRAY(arena, const char *, members->count + count + 1);

    if (members->count > 0)
        memcpy(all, members->values, members->count * sizeof(*all));
    for (size_t i = 0; i < count; i++)
        all[members->count++] = arena_strndup(arena, values[i]->bv_val, values[i]->bv_len);
    members->values = all;
    ldap_value_free_len(values);
    return NULL;
}

static struct fault *read_members(struct directory *directory, struct arena *arena, const char *base, const char *class,
    struct members *members)
{
    const char *attributes[] = { members->attribute, NULL };

    return ldap_find(directory, arena, &(struct ldap_search){ .base = base, .scope = LDAP_SCOPE_BASE,
        .filter = arena_printf(arena, "(objectClass=%s)", class), .attributes = attributes, .take = collect_members,
        .argument = members });
}

static bool same_dn(const char *a, const char *b)
{
    char *left = NULL, *right = NULL;
    bool same = strcasecmp(a, b) == 0;

    if (!same && ldap_dn_normalize(a, LDAP_DN_FORMAT_LDAPV3, &left, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS &&
        ldap_dn_normalize(b, LDAP_DN_FORMAT_LDAPV3, &right, LDAP_DN_FORMAT_LDAPV3) == LDAP_SUCCESS)
        same = strcasecmp(left, right) == 0;
    ldap_memfree(left);
    ldap_memfree(right);
    return same;
}

/* Enabled are the members of a group, where that is how the directory says it. */
static struct fault *emulate(struct collection *all, struct arena *arena)
{
    const struct config *config = all->directory->config;
    bool as_groups = config_bool(config, "ldap", "user_enabled_emulation_use_group_config");
    bool ids = as_groups && config_bool(config, "ldap", "group_members_are_ids");
    struct members members = { .attribute = as_groups ? ldap_setting(all->directory, "group_member_attribute") : "member" };

    if (all->form.kind != DIRECTORY_USERS || !config_bool(config, "ldap", "user_enabled_emulation") || all->count == 0)
        return NULL;
    TRY(read_members(all->directory, arena, all->directory->emulation_dn,
        as_groups ? ldap_setting(all->directory, "group_objectclass") : "groupOfNames", &members));
    for (size_t i = 0; i < all->count; i++) {
        all->entries[i].enabled = false;
        for (size_t k = 0; k < members.count && !all->entries[i].enabled; k++)
            all->entries[i].enabled = ids ? strcmp(members.values[k], all->entries[i].id) == 0 :
                same_dn(members.values[k], all->dns[i]);
    }
    return NULL;
}

/* The users of these member values, some at a time. */
static struct fault *users_of_members(struct collection *all, struct arena *arena, const struct members *members)
{
    bool ids = config_bool(all->directory->config, "ldap", "group_members_are_ids");

    for (size_t first = 0; first < members->count; first += BATCH) {
        BUF_CLEANUP struct buf any = { 0 };
        size_t named = 0;
        buf_puts(&any, "(|");
        for (size_t i = first; i < members->count && i < first + BATCH; i++) {
            const char *id = ids ? members->values[i] : dn_part(arena, members->values[i], all->form.id);
            if (id != NULL) {
                filter_equals(&any, all->form.id, id);
                named++;
                continue;
            }
            /* the DN does not say the id: the entry itself does */
            struct form form = all->form, base = { 0 };
            base = form;
            base.tree = members->values[i];
            base.scope = LDAP_SCOPE_BASE;
            all->form = base;
            struct fault *fault = collect_all(all, arena, "", 1);
            all->form = form;
            if (fault != NULL)
                return fault;
        }
        buf_putc(&any, ')');
        if (named > 0)
            TRY(collect_all(all, arena, buf_text(&any), 0));
    }
    return NULL;
}

static struct fault *find_of_group(struct collection *all, struct arena *arena, const char *group_id)
{
    struct directory *directory = all->directory;
    struct collection groups = { .directory = directory, .form = form_of(directory, DIRECTORY_GROUPS) };
    struct members members = { .attribute = ldap_setting(directory, "group_member_attribute") };

    TRY(collect_all(&groups, arena, equals(arena, groups.form.id, group_id), 1));
    if (groups.count == 0)
        return NULL;
    if (config_bool(directory->config, "ldap", "group_ad_nesting"))
        return collect_all(all, arena, equals(arena, "memberOf:" IN_CHAIN ":", groups.dns[0]), 0);
    TRY(read_members(directory, arena, groups.dns[0], groups.form.class, &members));
    return users_of_members(all, arena, &members);
}

static struct fault *find_of_user(struct collection *all, struct arena *arena, const char *user_id)
{
    struct directory *directory = all->directory;
    struct collection users = { .directory = directory, .form = form_of(directory, DIRECTORY_USERS) };
    bool ids = config_bool(directory->config, "ldap", "group_members_are_ids");
    const char *member = ldap_setting(directory, "group_member_attribute");

    TRY(collect_all(&users, arena, equals(arena, users.form.id, user_id), 1));
    if (users.count == 0)
        return NULL;
    if (config_bool(directory->config, "ldap", "group_ad_nesting"))
        member = "member:" IN_CHAIN ":";
    return collect_all(all, arena, equals(arena, member, ids ? user_id : users.dns[0]), 0);
}

static struct fault *driver_find(void *handle, struct arena *arena, enum directory_kind kind, enum directory_by by,
    const char *value, size_t limit, struct directory_entry **ret, size_t *ret_count)
{
    struct collection all = { .directory = handle, .form = form_of(handle, kind) };

    switch (by) {
    case DIRECTORY_ALL:
        TRY(collect_all(&all, arena, "", limit));
        break;
    case DIRECTORY_BY_ID:
        TRY(collect_all(&all, arena, equals(arena, all.form.id, value), 1));
        break;
    case DIRECTORY_BY_NAME:
        TRY(collect_all(&all, arena, equals(arena, all.form.name, value), limit));
        break;
    case DIRECTORY_OF_GROUP:
        TRY(find_of_group(&all, arena, value));
        break;
    case DIRECTORY_OF_USER:
        TRY(find_of_user(&all, arena, value));
        break;
    }
    TRY(emulate(&all, arena));
    *ret = all.entries;
    *ret_count = all.count;
    return NULL;
}

static struct fault *driver_authenticate(void *handle, struct arena *arena, const char *user_id, const char *password, bool *ret)
{
    struct collection users = { .directory = handle, .form = form_of(handle, DIRECTORY_USERS) };

    *ret = false;
    if (password == NULL || password[0] == '\0') /* a directory would take it for no login at all, and let everybody in */
        return NULL;
    TRY(collect_all(&users, arena, equals(arena, users.form.id, user_id), 1));
    return users.count == 0 ? NULL : ldap_login(handle, arena, users.dns[0], password, ret);
}

__attribute__((visibility("default"))) const struct directory_driver keystone_ldap_driver = {
    .open = driver_open,
    .close = driver_close,
    .find = driver_find,
    .authenticate = driver_authenticate,
};
