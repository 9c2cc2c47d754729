/* SPDX-License-Identifier: Apache-2.0
 * http/tls: see tls.h. libmicrohttpd only asks for certificates; that they must be there and good is GnuTLS's to say, told
 * for each connection before its handshake. */
#include "oslo/http/tls.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

static struct fault *read_pem(struct arena *arena, const char *path, const char **ret)
{
    enum { PEM_LIMIT = 1 << 20 };
    if (path == NULL)
        return fault_new(arena, 500, NULL, "When running server in SSL mode, you must specify both a cert_file and key_file option "
            "value in your configuration file");
    *ret = file_read(arena, path, PEM_LIMIT, NULL);
    return *ret != NULL ? NULL : fault_new(arena, 500, NULL, "%s cannot be read: %s", path, strerror(errno));
}

/* Whether GnuTLS can use them; the daemon would only say that it does not start. */
static struct fault *check(struct arena *arena, const char *cert_file, const char *certificate, const char *key,
    const char *ca_file, const char *authorities)
{
    gnutls_certificate_credentials_t credentials;
    const gnutls_datum_t own = { (unsigned char *)certificate, (unsigned)strlen(certificate) },
        secret = { (unsigned char *)key, (unsigned)strlen(key) },
        trust = { (unsigned char *)authorities, authorities != NULL ? (unsigned)strlen(authorities) : 0 };
    struct fault *fault = NULL;
    if (gnutls_certificate_allocate_credentials(&credentials) != GNUTLS_E_SUCCESS)
        return fault_new(arena, 500, NULL, "There is no memory for %s.", cert_file);
    int code = gnutls_certificate_set_x509_key_mem(credentials, &own, &secret, GNUTLS_X509_FMT_PEM);
    if (code < 0)
        fault = fault_new(arena, 500, NULL, "%s and its key cannot be used: %s", cert_file, gnutls_strerror(code));
    else if (authorities != NULL && gnutls_certificate_set_x509_trust_mem(credentials, &trust, GNUTLS_X509_FMT_PEM) <= 0)
        fault = fault_new(arena, 500, NULL, "%s has no certificate of an authority.", ca_file);
    gnutls_certificate_free_credentials(credentials);
    return fault;
}

/* GnuTLS asks this in the handshake, once the client has shown a certificate; not 0 refuses him. */
static int judge(gnutls_session_t session)
{
    gnutls_typed_vdata_st purpose = { GNUTLS_DT_KEY_PURPOSE_OID, (unsigned char *)GNUTLS_KP_TLS_WWW_CLIENT, 0 };
    gnutls_datum_t why = { NULL, 0 };
    unsigned status = 0;
    int code = gnutls_certificate_verify_peers(session, &purpose, 1, &status);
    if (code == GNUTLS_E_SUCCESS && status == 0)
        return 0;
    if (code == GNUTLS_E_SUCCESS)
        gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &why, 0);
    log_info("oslo.service", "a client is refused: its certificate: %s",
        why.data != NULL ? (const char *)why.data : gnutls_strerror(code));
    gnutls_free(why.data);
    gnutls_alert_send(session, GNUTLS_AL_FATAL, GNUTLS_A_BAD_CERTIFICATE);
    return -1;
}

/* A client who shows none is refused by GnuTLS, without a word to him; this says it. */
static int see_certificate(gnutls_session_t session, unsigned type, unsigned when, unsigned incoming,
    const gnutls_datum_t *message)
{
    enum { EMPTY = 4 }; /* bytes: the length of an empty list, in TLS 1.3 behind that of an empty context */
    if (incoming == 0 || message->size > EMPTY)
        return 0;
    log_info("oslo.service", "a client is refused: it shows no certificate.");
    gnutls_alert_send(session, GNUTLS_AL_FATAL,
        gnutls_protocol_get_version(session) >= GNUTLS_TLS1_3 ? GNUTLS_A_CERTIFICATE_REQUIRED : GNUTLS_A_HANDSHAKE_FAILURE);
    return 0;
}

static void ask_for_certificate(void *argument, struct MHD_Connection *connection, void **socket_context,
    enum MHD_ConnectionNotificationCode code)
{
    const union MHD_ConnectionInfo *info = code == MHD_CONNECTION_NOTIFY_STARTED
        ? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION) : NULL;
    if (info == NULL)
        return;
    gnutls_certificate_server_set_request(info->tls_session, GNUTLS_CERT_REQUIRE);
    gnutls_session_set_verify_function(info->tls_session, judge);
    gnutls_handshake_set_hook_function(info->tls_session, GNUTLS_HANDSHAKE_CERTIFICATE_PKT, GNUTLS_HOOK_PRE, see_certificate);
}

struct fault *tls_items(struct arena *arena, const char *cert_file, const char *key_file, const char *ca_file,
    struct MHD_OptionItem items[static TLS_ITEMS])
{
    const char *certificate, *key, *authorities = NULL;
    size_t n = 0;
    TRY(read_pem(arena, cert_file, &certificate));
    TRY(read_pem(arena, key_file, &key));
    if (ca_file != NULL)
        TRY(read_pem(arena, ca_file, &authorities));
    TRY(check(arena, cert_file, certificate, key, ca_file, authorities));
    items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)certificate };
    items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)key };
    if (authorities != NULL) {
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_HTTPS_MEM_TRUST, 0, (void *)authorities };
        items[n++] = (struct MHD_OptionItem){ MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)ask_for_certificate, NULL };
    }
    items[n] = (struct MHD_OptionItem){ MHD_OPTION_END, 0, NULL };
    return NULL;
}
