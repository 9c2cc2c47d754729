/* SPDX-License-Identifier: Apache-2.0
 *
 * extensions: which parts of the API are here, the version documents, availability zones and service providers.
 */
#include "neutron/private.h"

#include <string.h>

/* Aliases, names and dates are those that clients match; what each one means is said in our words. */
static const struct extension {
    const char *alias, *name, *description, *updated;
} extensions[] = {
    { "agent", "agent",
        "Agents report themselves; administrators list, change and remove them.", "2013-02-03T10:00:00-00:00" },
    { "allowed-address-pairs", "Allowed Address Pairs",
        "A port may send from addresses beyond its own.", "2013-07-23T10:00:00-00:00" },
    { "availability_zone", "Availability Zone",
        "Agents belong to zones, and zones can be listed.", "2015-01-01T10:00:00-00:00" },
    { "binding", "Port Binding", "A port tells where and how it is plugged in.", "2014-02-03T10:00:00-00:00" },
    { "dhcp_agent_scheduler", "DHCP Agent Scheduler",
        "Networks are given to DHCP agents.", "2013-02-07T10:00:00-00:00" },
    { "external-net", "Neutron external network",
        "A network may lead outside of the cloud.", "2013-01-14T10:00:00-00:00" },
    { "extra_dhcp_opt", "Neutron Extra DHCP options",
        "A port may have DHCP options of its own.", "2013-03-17T12:00:00-00:00" },
    { "filter-validation", "Filter parameters validation",
        "A list refuses a parameter that cannot filter it.", "2018-03-21T10:00:00-00:00" },
    { "empty-string-filtering", "Empty String Filtering Extension",
        "An empty value in a list's filter means an empty member.", "2018-04-09T10:00:00-00:00" },
    { "ip-substring-filtering", "IP address substring filtering",
        "Ports are found by a part of their address.", "2017-11-28T09:00:00-00:00" },
    { "net-mtu", "Network MTU", "A network tells its MTU.", "2015-03-25T10:00:00-00:00" },
    { "net-mtu-writable", "Network MTU (writable)", "A network's MTU can be set.", "2017-07-12T00:00:00-00:00" },
    { "network_availability_zone", "Network Availability Zone",
        "A network names the zones that it wishes for, and shows those that it has.", "2015-01-01T10:00:00-00:00" },
    { "network-ip-availability", "Network IP Availability",
        "How many addresses each network and subnet has, and how many are taken.", "2015-09-24T00:00:00-00:00" },
    { "pagination", "Pagination support",
        "Lists come in pages: limit, marker, page_reverse.", "2016-06-12T00:00:00-00:00" },
    { "port-security", "Port Security",
        "The protection of ports can be turned off, by port and by network.", "2012-07-23T10:00:00-00:00" },
    { "project-id", "project_id field enabled",
        "The owner of a resource is project_id as well as tenant_id.", "2016-09-09T09:09:09-09:09" },
    { "provider", "Provider Network",
        "A network tells which segment of which physical network carries it.", "2012-09-07T10:00:00-00:00" },
    { "quotas", "Quota management support", "Limits on what a project may own.", "2012-07-29T10:00:00-00:00" },
    { "quota_details", "Quota details management support",
        "A project's limits together with what it uses.", "2017-02-10T10:00:00-00:00" },
    { "revision-if-match", "If-Match constraints based on revision_number",
        "A change may be bound to a revision by If-Match.", "2016-12-11T00:00:00-00:00" },
    { "security-group", "security-group",
        "Named sets of rules about the traffic of ports.", "2012-10-05T10:00:00-00:00" },
    { "security-groups-normalized-cidr", "Normalized CIDR field for security group rules",
        "A rule shows the network of its remote prefix.", "2020-12-10T12:00:00-00:00" },
    { "service-type", "Neutron Service Type Management",
        "Which drivers offer which network service.", "2013-01-20T00:00:00-00:00" },
    { "sorting", "Sorting support",
        "Lists come in the order that is asked for: sort_key, sort_dir.", "2016-06-12T00:00:00-00:00" },
    { "standard-attr-description", "standard-attr-description",
        "Resources have a description.", "2016-02-10T10:00:00-00:00" },
    { "standard-attr-revisions", "Resource revision numbers",
        "Resources have a number that grows with each change.", "2016-04-11T10:00:00-00:00" },
    { "standard-attr-tag", "Tag support for resources with standard attribute: network, port, security_group, subnet",
        "Resources can be marked with words.", "2017-01-01T00:00:00-00:00" },
    { "standard-attr-timestamp", "Resource timestamps",
        "Resources tell when they were made and changed.", "2016-09-12T10:00:00-00:00" },
    { "stateful-security-group", "Stateful security group",
        "A security group may do without connection tracking.", "2019-11-26T09:00:00-00:00" },
};
enum { EXTENSIONS = sizeof(extensions) / sizeof(extensions[0]) };

static void write_extension(struct json_writer *w, const char *name, const struct extension *extension)
{
    json_begin(w, name);
    json_text(w, "name", extension->name);
    json_text(w, "alias", extension->alias);
    json_text(w, "description", extension->description);
    json_text(w, "updated", extension->updated);
    json_begin_array(w, "links");
    json_end_array(w);
    json_end(w);
}

static struct fault *extension_list(struct request *rq)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin_array(w, "extensions");
    for (size_t i = 0; i < EXTENSIONS; i++)
        write_extension(w, NULL, &extensions[i]);
    json_end_array(w);
    json_end(w);
    return NULL;
}

static struct fault *extension_show(struct request *rq)
{
    const char *alias = request_argument(rq, "alias");
    for (size_t i = 0; i < EXTENSIONS; i++)
        if (strcmp(extensions[i].alias, alias) == 0) {
            json_begin(&rq->json, NULL);
            write_extension(&rq->json, "extension", &extensions[i]);
            json_end(&rq->json);
            return NULL;
        }
    return FAULT(RQ(rq), 404, "HTTPNotFound", "Extension with alias %s does not exist", alias);
}

/* ---- Versions ---- */

static void write_version(struct request *rq)
{
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_text(w, "id", "v2.0");
    json_text(w, "status", "CURRENT");
    json_begin_array(w, "links");
    json_begin(w, NULL);
    json_text(w, "rel", "self");
    json_textf(w, "href", "%s/v2.0/", rq->base_url);
    json_end(w);
    json_end_array(w);
    json_end(w);
}

static struct fault *versions(struct request *rq)
{
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "versions");
    write_version(rq);
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static struct fault *root(struct request *rq)
{
    static const char *const collections[][2] = {
        { "network", "networks" }, { "subnet", "subnets" }, { "port", "ports" }, { "security_group", "security-groups" },
        { "security_group_rule", "security-group-rules" }, { "agent", "agents" }, { "quota", "quotas" },
        { "availability_zone", "availability_zones" }, { "extension", "extensions" },
    };
    struct json_writer *w = &rq->json;
    json_begin(w, NULL);
    json_begin_array(w, "resources");
    for (size_t i = 0; i < sizeof(collections) / sizeof(collections[0]); i++) {
        json_begin(w, NULL);
        json_begin_array(w, "links");
        json_begin(w, NULL);
        json_text(w, "rel", "self");
        json_textf(w, "href", "%s/v2.0/%s", rq->base_url, collections[i][1]);
        json_end(w);
        json_end_array(w);
        json_text(w, "name", collections[i][0]);
        json_textf(w, "collection", "%ss", collections[i][0]);
        json_end(w);
    }
    json_end_array(w);
    json_end(w);
    return NULL;
}

/* ---- Availability zones, service providers ---- */

static struct fault *zone_list(struct request *rq)
{
    struct json_writer *w = &rq->json;
    struct rows *zones;
    struct tx *tx;
    TRY(db_read(rq->cx.arena, rq->cx.app->db, &tx));
    TRY(sql_query(tx, &zones, "SELECT DISTINCT availability_zone FROM agents WHERE availability_zone IS NOT NULL AND "
        "agent_type = 'DHCP agent' ORDER BY availability_zone", NO_BIND));
    json_begin(w, NULL);
    json_begin_array(w, "availability_zones");
    while (rows_next(zones)) {
        json_begin(w, NULL);
        json_text(w, "name", rows_text(zones, 0));
        json_text(w, "resource", "network");
        json_text(w, "state", "available");
        json_end(w);
    }
    json_end_array(w);
    json_end(w);
    struct fault *fault = rows_fault(zones);
    tx_end(tx);
    return fault;
}

static struct fault *provider_list(struct request *rq)
{
    json_begin(&rq->json, NULL);
    json_begin_array(&rq->json, "service_providers");
    json_end_array(&rq->json);
    json_end(&rq->json);
    return NULL;
}

static const struct route rows[] = {
    ROUTE(GET, "/",                         NULL,                    versions,       .flags = NO_TOKEN),
    ROUTE(GET, "/v2.0",                     NULL,                    root,           .flags = NO_TOKEN),
    ROUTE(GET, "/v2.0/extensions",          "regular_user",          extension_list),
    ROUTE(GET, "/v2.0/extensions/{alias}",  "regular_user",          extension_show),
    ROUTE(GET, "/v2.0/availability_zones",  "get_availability_zone", zone_list),
    ROUTE(GET, "/v2.0/service-providers",   "get_service_provider",  provider_list),
};
const struct route_table extension_routes = ROUTES(rows);
