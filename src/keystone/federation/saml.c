/* SPDX-License-Identifier: Apache-2.0 */
#include "keystone/federation/saml.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/process.h"
#include "base/random.h"

#include <errno.h>
#include <string.h>

#define NS_SAML     "urn:oasis:names:tc:SAML:2.0:assertion"
#define NS_PROTOCOL "urn:oasis:names:tc:SAML:2.0:protocol"
#define NS_METADATA "urn:oasis:names:tc:SAML:2.0:metadata"
#define NS_ECP      "urn:oasis:names:tc:SAML:2.0:profiles:SSO:ecp"
#define NS_SOAP     "http://schemas.xmlsoap.org/soap/envelope/"
#define NS_DSIG     "http://www.w3.org/2000/09/xmldsig#"
#define EXCLUSIVE   "http://www.w3.org/2001/10/xml-exc-c14n#"
/* What an assertion needs: on itself while it is signed, on the root of what it is sent in after that. */
#define NAMESPACES                                                                                                     \
    " xmlns:saml=\"" NS_SAML "\" xmlns:xmldsig=\"" NS_DSIG "\" xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\""

enum { CERTIFICATE_LIMIT = 1 << 16, SIGN_TIMEOUT_MS = 10000 };

/* ---- Text ---- */

/* The next character of valid UTF-8. */
static unsigned long next_character(const unsigned char **at)
{
    unsigned long code = *(*at)++;
    int more = code < 0xc0 ? 0 : code < 0xe0 ? 1 : code < 0xf0 ? 2 : 3;

    if (more > 0)
        code &= 0x3fu >> more;
    for (; more > 0 && (**at & 0xc0) == 0x80; more--)
        code = code << 6 | (*(*at)++ & 0x3f);
    return code;
}

/* Whether XML 1.0 can say all of the text. */
static bool sayable(const char *text)
{
    const unsigned char *at = (const unsigned char *)(text != NULL ? text : "");

    while (*at != '\0') {
        unsigned long code = next_character(&at);
        bool control = code < 0x20 && code != '\t' && code != '\n' && code != '\r';
        if (control || (code >= 0xd800 && code < 0xe000) || code == 0xfffe || code == 0xffff || code > 0x10ffff)
            return false;
    }
    return true;
}

static bool all_sayable(const json_t *texts)
{
    for (size_t i = 0; i < json_array_size(texts); i++)
        if (!sayable(json_string_value(json_array_get(texts, i))))
            return false;
    return true;
}

/* As content or as the value of an attribute. */
static void put_text(struct buf *out, const char *text)
{
    const unsigned char *at = (const unsigned char *)(text != NULL ? text : "");

    while (*at != '\0') {
        unsigned long code = next_character(&at);
        if (code < 0x20 || code > 0x7e || strchr("<>&\"", (int)code) != NULL)
            buf_printf(out, "&#%lu;", code);
        else
            buf_putc(out, (char)code);
    }
}

/* ` name="value"` */
static void put_attribute(struct buf *out, const char *name, const char *value)
{
    buf_printf(out, " %s=\"", name);
    put_text(out, value);
    buf_putc(out, '"');
}

static void put_element(struct buf *out, const char *name, const char *attributes, const char *text)
{
    buf_printf(out, "<%s%s>", name, attributes);
    put_text(out, text);
    buf_printf(out, "</%s>", name);
}

/* ---- The assertion ---- */

static void put_issuer(struct buf *out, const struct saml_subject *subject)
{
    put_element(out, "saml:Issuer", " Format=\"urn:oasis:names:tc:SAML:2.0:nameid-format:entity\"", subject->issuer);
}

/* The form that the program fills in. */
static void put_signature(struct buf *out, const char *id)
{
    buf_printf(out, "<xmldsig:Signature><xmldsig:SignedInfo><xmldsig:CanonicalizationMethod Algorithm=\"" EXCLUSIVE "\"/>"
        "<xmldsig:SignatureMethod Algorithm=\"" NS_DSIG "rsa-sha1\"/><xmldsig:Reference URI=\"#%s\"><xmldsig:Transforms>"
        "<xmldsig:Transform Algorithm=\"" NS_DSIG "enveloped-signature\"/><xmldsig:Transform Algorithm=\"" EXCLUSIVE "\"/>"
        "</xmldsig:Transforms><xmldsig:DigestMethod Algorithm=\"" NS_DSIG "sha1\"/><xmldsig:DigestValue/></xmldsig:Reference>"
        "</xmldsig:SignedInfo><xmldsig:SignatureValue/><xmldsig:KeyInfo><xmldsig:X509Data/></xmldsig:KeyInfo>"
        "</xmldsig:Signature>", id);
}

static void put_subject(struct buf *out, const struct saml_subject *subject, const char *expires)
{
    buf_puts(out, "<saml:Subject>");
    put_element(out, "saml:NameID", "", subject->user);
    buf_puts(out, "<saml:SubjectConfirmation Method=\"urn:oasis:names:tc:SAML:2.0:cm:bearer\"><saml:SubjectConfirmationData");
    put_attribute(out, "NotOnOrAfter", expires);
    put_attribute(out, "Recipient", subject->recipient);
    buf_puts(out, "/></saml:SubjectConfirmation></saml:Subject>");
}

static void put_authentication(struct buf *out, struct arena *arena, const struct saml_subject *subject, const char *now,
    const char *expires)
{
    buf_puts(out, "<saml:AuthnStatement");
    put_attribute(out, "AuthnInstant", now);
    put_attribute(out, "SessionIndex", uuid_new_hex(arena));
    put_attribute(out, "SessionNotOnOrAfter", expires);
    buf_puts(out, "><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password"
        "</saml:AuthnContextClassRef>");
    put_element(out, "saml:AuthenticatingAuthority", "", subject->issuer);
    buf_puts(out, "</saml:AuthnContext></saml:AuthnStatement>");
}

static void put_values(struct buf *out, const char *name, const json_t *values, const char *value)
{
    static const char type[] = " xmlns:xs=\"http://www.w3.org/2001/XMLSchema\" xsi:type=\"xs:string\"";

    buf_printf(out, "<saml:Attribute Name=\"%s\" NameFormat=\"urn:oasis:names:tc:SAML:2.0:attrname-format:uri\">", name);
    if (value != NULL)
        put_element(out, "saml:AttributeValue", type, value);
    for (size_t i = 0; i < json_array_size(values); i++)
        put_element(out, "saml:AttributeValue", type, json_string_value(json_array_get(values, i)));
    buf_puts(out, "</saml:Attribute>");
}

static void put_attributes(struct buf *out, const struct saml_subject *subject)
{
    buf_puts(out, "<saml:AttributeStatement>");
    put_values(out, "openstack_user", NULL, subject->user);
    put_values(out, "openstack_roles", subject->roles, NULL);
    put_values(out, "openstack_project", NULL, subject->project);
    put_values(out, "openstack_project_domain", NULL, subject->project_domain);
    put_values(out, "openstack_user_domain", NULL, subject->user_domain);
    if (json_array_size(subject->groups) > 0)
        put_values(out, "openstack_groups", subject->groups, NULL);
    buf_puts(out, "</saml:AttributeStatement>");
}

#define ASSERTION_BEGIN "<saml:Assertion" NAMESPACES

static void put_assertion(struct buf *out, struct arena *arena, const struct config *config, const struct saml_subject *subject,
    int64_t now_us)
{
    int64_t second_us = now_us - now_us % 1000000, lifetime_us = config_int(config, "saml", "assertion_expiration_time") * 1000000;
    const char *id = uuid_new_hex(arena), *now = clock_text(arena, now_us, CLOCK_ISO);
    const char *expires = clock_text(arena, second_us + lifetime_us, CLOCK_ISO_USZ);

    buf_puts(out, ASSERTION_BEGIN " Version=\"2.0\"");
    put_attribute(out, "ID", id);
    put_attribute(out, "IssueInstant", now);
    buf_putc(out, '>');
    put_issuer(out, subject);
    put_signature(out, id);
    put_subject(out, subject, expires);
    put_authentication(out, arena, subject, now, expires);
    put_attributes(out, subject);
    buf_puts(out, "</saml:Assertion>");
}

/* ---- The signature ---- */

static struct fault *unsigned_because(struct arena *arena, const char *reason)
{
    return fault_detail(arena,
        fault_new(arena, 500, NULL, "An unexpected error prevented the server from fulfilling your request."),
        "Unable to sign SAML assertion. It is likely that this server does not have xmlsec1 installed or this is the result of "
        "misconfiguration. Reason %s.",
        reason);
}

/* A comma separates the two files on the program's command line. */
static struct fault *check_paths(struct arena *arena, const char *key, const char *certificate)
{
    const char *wrong = strchr(key, ',') != NULL ? "keyfile" : strchr(certificate, ',') != NULL ? "certfile" : NULL;

    if (wrong == NULL)
        return NULL;
    return unsigned_because(arena, arena_printf(arena, "The configuration value in `keystone.conf [saml] %s` cannot contain a "
        "comma (`,`). Please fix your configuration", wrong));
}

/* The assertion signed, without the namespaces that put_assertion() gave it. */
static struct fault *sign(struct arena *arena, const struct config *config, const struct buf *assertion, const char **ret)
{
    const char *program = config_str(config, "saml", "xmlsec1_binary"), *key = config_str(config, "saml", "keyfile");
    const char *certificate = config_str(config, "saml", "certfile");
    struct process_result result;

    TRY(check_paths(arena, key, certificate));
    if (!process_installed(arena, program))
        return unsigned_because(arena, arena_printf(arena, "Unable to locate %s binary on the system. Check to make sure it is "
            "installed.", program));
    const struct process process = {
        .argv = ARGV(program, "--sign", "--privkey-pem", arena_printf(arena, "%s,%s", key, certificate), "--id-attr:ID",
            "Assertion", "/dev/stdin"),
        .input = assertion->data, .input_length = assertion->length, .timeout_ms = SIGN_TIMEOUT_MS, .any_exit = true };
    struct fault *fault = process_run(arena, &process, &result);
    if (fault != NULL)
        return unsigned_because(arena, fault_text(arena, fault));
    if (result.exit_status != 0)
        return unsigned_because(arena, arena_printf(arena, "%s ended with status %d: %s", program, result.exit_status,
            result.errors));
    const char *begin = strstr(result.output, ASSERTION_BEGIN), *end = NULL;
    if (begin != NULL)
        end = strstr(begin, "</saml:Assertion>");
    if (end == NULL || strstr(begin, "<xmldsig:SignatureValue>") == NULL)
        return unsigned_because(arena, arena_printf(arena, "%s wrote no signed assertion", program));
    begin += strlen(ASSERTION_BEGIN);
    *ret = arena_printf(arena, "<saml:Assertion%.*s</saml:Assertion>", (int)(end - begin), begin);
    return NULL;
}

/* ---- What is sent ---- */

/* `prefix`: the name of the protocol's namespace; `namespaces`: those that stand here. */
static void put_response(struct buf *out, struct arena *arena, const char *prefix, const char *namespaces, int64_t now_us,
    const struct saml_subject *subject, const char *assertion)
{
    buf_printf(out, "<%s:Response%s", prefix, namespaces);
    put_attribute(out, "ID", uuid_new_hex(arena));
    put_attribute(out, "Version", "2.0");
    put_attribute(out, "IssueInstant", clock_text(arena, now_us, CLOCK_ISO));
    put_attribute(out, "Destination", subject->recipient);
    buf_putc(out, '>');
    put_issuer(out, subject);
    buf_printf(out, "<%s:Status><%s:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/></%s:Status>%s</%s:Response>",
        prefix, prefix, prefix, assertion, prefix);
}

struct fault *saml_response(struct arena *arena, const struct config *config, const struct saml_subject *subject,
    const char *relay_state, struct buf *out)
{
    BUF_CLEANUP struct buf assertion = { 0 };
    int64_t now_us = clock_now_us();
    const char *assertion_signed = NULL;

    if (!sayable(subject->issuer) || !sayable(subject->recipient) || !sayable(subject->user) || !sayable(subject->user_domain) ||
        !sayable(subject->project) || !sayable(subject->project_domain) || !all_sayable(subject->roles) ||
        !all_sayable(subject->groups) || !sayable(relay_state))
        return fault_new(arena, 400, NULL, "A name has a character that a SAML assertion cannot carry.");
    put_assertion(&assertion, arena, config, subject, now_us);
    TRY(sign(arena, config, &assertion, &assertion_signed));
    if (relay_state == NULL) {
        put_response(out, arena, "ns0", " xmlns:ns0=\"" NS_PROTOCOL "\"" NAMESPACES, now_us, subject, assertion_signed);
        return NULL;
    }
    buf_puts(out, "<ns0:Envelope xmlns:ns0=\"" NS_SOAP "\" xmlns:ns1=\"" NS_ECP "\" xmlns:ns2=\"" NS_PROTOCOL "\"" NAMESPACES
        "><ns0:Header>");
    put_element(out, "ns1:RelayState", " ns0:mustUnderstand=\"1\" ns0:actor=\"http://schemas.xmlsoap.org/soap/actor/next\"",
        relay_state);
    buf_puts(out, "</ns0:Header><ns0:Body>");
    put_response(out, arena, "ns2", "", now_us, subject, assertion_signed);
    buf_puts(out, "</ns0:Body></ns0:Envelope>");
    return NULL;
}

/* ---- Metadata ---- */

static struct fault *certificate_fault(struct arena *arena, const char *path, const char *reason)
{
    return fault_new(arena, 500, NULL, "Cannot open certificate %s.Reason: %s", path, reason);
}

/* The base64 text between the lines of a PEM file. */
static struct fault *read_certificate(struct arena *arena, const char *path, const char **ret)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----", end[] = "-----END CERTIFICATE-----";
    char *text = file_read(arena, path, CERTIFICATE_LIMIT, NULL), *to;

    if (text == NULL)
        return certificate_fault(arena, path, strerror(errno));
    char *from = strstr(text, begin);
    if (from == NULL)
        return certificate_fault(arena, path, "Strange beginning of PEM file");
    from += strlen(begin);
    char *stop = strstr(from, end);
    if (stop == NULL)
        return certificate_fault(arena, path, "Strange end of PEM file");
    *ret = to = from;
    for (; from < stop; from++)
        if (*from != '\r' && *from != '\n')
            *to++ = *from;
    *to = '\0';
    return NULL;
}

static void put_options(struct buf *out, const struct config *config, const char *attributes, const char *const (*rows)[2])
{
    for (; (*rows)[0] != NULL; rows++)
        put_element(out, (*rows)[0], attributes, config_str(config, "saml", (*rows)[1]));
}

static void put_organization(struct buf *out, const struct config *config)
{
    static const char *const rows[][2] = {
        { "ns0:OrganizationName",        "idp_organization_name" },
        { "ns0:OrganizationDisplayName", "idp_organization_display_name" },
        { "ns0:OrganizationURL",         "idp_organization_url" },
        { NULL },
    };
    BUF_CLEANUP struct buf language = { 0 };

    put_attribute(&language, "xml:lang", config_str(config, "saml", "idp_lang"));
    buf_puts(out, "<ns0:Organization>");
    put_options(out, config, buf_text(&language), rows);
    buf_puts(out, "</ns0:Organization>");
}

static void put_contact(struct buf *out, const struct config *config)
{
    static const char *const rows[][2] = {
        { "ns0:Company",         "idp_contact_company" },
        { "ns0:GivenName",       "idp_contact_name" },
        { "ns0:SurName",         "idp_contact_surname" },
        { "ns0:EmailAddress",    "idp_contact_email" },
        { "ns0:TelephoneNumber", "idp_contact_telephone" },
        { NULL },
    };

    buf_puts(out, "<ns0:ContactPerson");
    put_attribute(out, "contactType", config_str(config, "saml", "idp_contact_type"));
    buf_putc(out, '>');
    put_options(out, config, "", rows);
    buf_puts(out, "</ns0:ContactPerson>");
}

struct fault *saml_metadata(struct arena *arena, const struct config *config, struct buf *out)
{
    const char *id = config_str(config, "saml", "idp_entity_id"), *sso = config_str(config, "saml", "idp_sso_endpoint");
    const char *certificate;

    if (id == NULL || sso == NULL)
        return fault_new(arena, 400, NULL, "Ensure configuration option %s is set.",
            id == NULL ? "idp_entity_id" : "idp_sso_endpoint");
    TRY(read_certificate(arena, config_str(config, "saml", "certfile"), &certificate));
    buf_puts(out, "<ns0:EntityDescriptor xmlns:ns0=\"" NS_METADATA "\" xmlns:xmldsig=\"" NS_DSIG "\"");
    put_attribute(out, "entityID", id);
    buf_puts(out, "><ns0:IDPSSODescriptor protocolSupportEnumeration=\"" NS_PROTOCOL "\"><ns0:KeyDescriptor use=\"signing\">"
        "<xmldsig:KeyInfo><xmldsig:X509Data>");
    put_element(out, "xmldsig:X509Certificate", "", certificate);
    buf_puts(out, "</xmldsig:X509Data></xmldsig:KeyInfo></ns0:KeyDescriptor>");
    put_organization(out, config);
    put_contact(out, config);
    buf_puts(out, "<ns0:NameIDFormat>urn:oasis:names:tc:SAML:2.0:nameid-format:transient</ns0:NameIDFormat>"
        "<ns0:SingleSignOnService Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:URI\"");
    put_attribute(out, "Location", sso);
    buf_puts(out, "/></ns0:IDPSSODescriptor></ns0:EntityDescriptor>");
    return NULL;
}
