/* SPDX-License-Identifier: Apache-2.0
 *
 * extensions: which parts of the API are here, the version documents, availability zones and service providers.
 */
#include "neutron/private.h"

#include <string.h>

static const struct extension {
    const char *alias, *name, *description, *updated;
} extensions[] = {
    { "agent", "agent", "The agent management extension.", "2013-02-03T10:00:00-00:00" },
    { "allowed-address-pairs", "Allowed Address Pairs", "Provides allowed address pairs", "2013-07-23T10:00:00-00:00" },
    { "availability_zone", "Availability Zone", "The availability zone extension.", "2015-01-01T10:00:00-00:00" },
    { "binding", "Port Binding", "Expose port bindings of a virtual port to external application", "2014-02-03T10:00:00-00:00" },
    { "dhcp_agent_scheduler", "DHCP Agent Scheduler", "Schedule networks among dhcp agents", "2013-02-07T10:00:00-00:00" },
    { "external-net", "Neutron external network", "Adds external network attribute to network resource.", "2013-01-14T10:00:00-00:00" },
    { "extra_dhcp_opt", "Neutron Extra DHCP options", "Extra options configuration for DHCP.", "2013-03-17T12:00:00-00:00" },
    { "filter-validation", "Filter parameters validation", "Provides validation on filter parameters.", "2018-03-21T10:00:00-00:00" },
    { "empty-string-filtering", "Empty String Filtering Extension", "Allow filtering by attributes with empty string value", "2018-04-09T10:00:00-00:00" },
    { "ip-substring-filtering", "IP address substring filtering", "Provides IP address substring filtering when listing ports", "2017-11-28T09:00:00-00:00" },
    { "net-mtu", "Network MTU", "Provides MTU attribute for a network resource.", "2015-03-25T10:00:00-00:00" },
    { "net-mtu-writable", "Network MTU (writable)", "Provides a writable MTU attribute for a network resource.", "2017-07-12T00:00:00-00:00" },
    { "network_availability_zone", "Network Availability Zone", "Availability zone support for network.", "2015-01-01T10:00:00-00:00" },
    { "network-ip-availability", "Network IP Availability", "Provides IP availability data for each network and subnet.", "2015-09-24T00:00:00-00:00" },
    { "pagination", "Pagination support", "Extension that indicates that pagination is enabled.", "2016-06-12T00:00:00-00:00" },
    { "port-security", "Port Security", "Provides port security", "2012-07-23T10:00:00-00:00" },
    { "project-id", "project_id field enabled", "Extension that indicates that project_id field is enabled.", "2016-09-09T09:09:09-09:09" },
    { "provider", "Provider Network", "Expose mapping of virtual networks to physical networks", "2012-09-07T10:00:00-00:00" },
    { "quotas", "Quota management support", "Expose functions for quotas management per project", "2012-07-29T10:00:00-00:00" },
    { "quota_details", "Quota details management support", "Expose functions for quotas usage statistics per project", "2017-02-10T10:00:00-00:00" },
    { "revision-if-match", "If-Match constraints based on revision_number",
        "Extension indicating that If-Match based on revision_number is supported.", "2016-12-11T00:00:00-00:00" },
    { "security-group", "security-group", "The security groups extension.", "2012-10-05T10:00:00-00:00" },
    { "security-groups-normalized-cidr", "Normalized CIDR field for security group rules",
        "Add new field with normalized remote_ip_prefix cidr in SG rule", "2020-12-10T12:00:00-00:00" },
    { "service-type", "Neutron Service Type Management", "API for retrieving service providers for Neutron advanced services", "2013-01-20T00:00:00-00:00" },
    { "sorting", "Sorting support", "Extension that indicates that sorting is enabled.", "2016-06-12T00:00:00-00:00" },
    { "standard-attr-description", "standard-attr-description", "Extension to add descriptions to standard attributes", "2016-02-10T10:00:00-00:00" },
    { "standard-attr-revisions", "Resource revision numbers", "This extension will display the revision number of neutron resources.", "2016-04-11T10:00:00-00:00" },
    { "standard-attr-tag", "Tag support for resources with standard attribute: network, port, security_group, subnet",
        "Enables to set tag on resources with standard attribute.", "2017-01-01T00:00:00-00:00" },
    { "standard-attr-timestamp", "Resource timestamps", "Adds created_at and updated_at fields to all Neutron "
        "resources that have Neutron standard attributes.", "2016-09-12T10:00:00-00:00" },
    { "stateful-security-group", "Stateful security group", "Indicates if the security group is stateful or not", "2019-11-26T09:00:00-00:00" },
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
