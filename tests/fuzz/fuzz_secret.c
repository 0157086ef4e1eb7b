/* fuzz_secret.c - any bytes are checked as a secret; keys from PEM or JWK are never accepted as one. */
#include "fuzz.h"
#include "jwt_private.h"
#include "tokenstore/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_bytes text = fuzz_bytes(data, size);
    tks_key *key = NULL;

    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    tks_status status = tksp_secret_check(text, NULL);
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    if (status == TKS_OK) {
        REQUIRE(tks_key_from_pem(text, NULL, &key, NULL) != TKS_OK);
        REQUIRE(tks_key_from_jwk(text, tks_jwt_openssl(), &key, NULL) != TKS_OK);
    }
    return 0;
}
