/* SPDX-License-Identifier: Apache-2.0
 *
 * keypair_crypto: making and checking the keys of nova's key pairs (nova/crypto.py). Pure: no database, no request.
 *
 * Results live in the arena. Bad keys are faults 400 "Keypair data is invalid: ...", in nova's words. Private keys are
 * given to the caller once and kept nowhere.
 */
#ifndef NOVA_KEYPAIR_CRYPTO_H
#define NOVA_KEYPAIR_CRYPTO_H

#include "base/arena.h"
#include "base/fault.h"

/* An OpenSSH public key "ssh-rsa AAAA... comment" (rsa, dss, ed25519, ecdsa on the NIST curves): MD5 with colons. */
struct fault *ssh_key_fingerprint(struct arena *arena, const char *public_key, const char **ret);

/* A PEM certificate: SHA-1 with colons. */
struct fault *x509_key_fingerprint(struct arena *arena, const char *certificate, const char **ret);

/* A new RSA key of 2048 bits; about 0.1 s. The private key is PEM in PKCS #1 form, the public one in OpenSSH's. */
struct fault *ssh_key_generate(struct arena *arena, const char **ret_public, const char **ret_fingerprint,
    const char **ret_private);

/* A self-signed certificate of ten years for logging in by WinRM as user_id@localhost; its private key is a PKCS #12
 * store without password, in base64. */
struct fault *x509_key_generate(struct arena *arena, const char *user_id, const char **ret_certificate,
    const char **ret_fingerprint, const char **ret_private);

#endif
