/* SPDX-License-Identifier: Apache-2.0
 *
 * saml: this keystone as an identity provider of others (K2K, keystone/federation/idp.py): the documents that it writes.
 *
 * All is plain ASCII: other characters stand as numbers, so that a client which guesses the encoding does not break the
 * signature. Only the assertion is signed, by the program [saml] xmlsec1_binary with [saml] keyfile and certfile (RSA-SHA1
 * over SHA-1 digests and exclusive canonical XML, as the reference's): it is handed our text on its standard input, and
 * nothing of a client on its command line.
 */
#ifndef KEYSTONE_SAML_H
#define KEYSTONE_SAML_H

#include "base/buf.h"
#include "oslo/json.h"
#include "oslo/options.h"

/* Who is vouched for, and to whom. */
struct saml_subject {
    const char *issuer;     /* [saml] idp_entity_id; NULL: not said */
    const char *recipient;  /* the service provider's sp_url */
    const char *user, *user_domain, *project, *project_domain;
    const json_t *roles;    /* names */
    const json_t *groups;   /* "JSON:{...}", one a group; empty: the attribute is left out */
};

/* A signed <Response>; with a RelayState, in the <Envelope> of the ECP profile. Faults: 400 when a name has a character
 * that XML cannot say, 500 when it cannot be signed (why is for the log). */
struct fault *saml_response(struct arena *arena, const struct config *config, const struct saml_subject *subject,
    const char *relay_state, struct buf *out);

/* The <EntityDescriptor> of keystone-manage saml_idp_metadata. Faults: 400 without [saml] idp_entity_id or idp_sso_endpoint,
 * 500 when the certificate cannot be read. */
struct fault *saml_metadata(struct arena *arena, const struct config *config, struct buf *out);

#endif
