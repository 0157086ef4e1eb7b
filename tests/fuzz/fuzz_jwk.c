/* fuzz_jwk.c - any text is accepted or rejected as a JWK and as a JWKS; a key that can sign verifies its own
 * tokens; a build without OpenSSL accepts nothing that a build with it rejects. */
#include "fuzz.h"
#include "fuzz_key_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    tks_bytes text = fuzz_bytes(data, size);
    tks_error err = TKS_ERROR_INIT;
    tks_key *key = NULL;
    tks_key *plain = NULL;
    tks_keyset *set = NULL;

    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    tks_status status = tks_key_from_jwk(text, tks_jwt_openssl(), &key, &err);
    fuzz_use_key(status, key, &err);
    status = tks_key_from_jwk(text, NULL, &plain, NULL);
    REQUIRE(status != TKS_OK || key != NULL);
    tks_key_free(key);
    tks_key_free(plain);

    err = (tks_error)TKS_ERROR_INIT;
    status = tks_keyset_from_jwks(text, tks_jwt_openssl(), &set, &err);
    REQUIRE((status == TKS_OK) == (set != NULL));
    REQUIRE(status == TKS_OK || status == TKS_ERR_CONFIGURATION);
    if (set != NULL) {
        tks_error none = TKS_ERROR_INIT;
        tks_key *const *keys = NULL;
        size_t count = tks_keyset_get_keys(set, &keys);
        for (size_t i = 0; i < count; i++) fuzz_use_key(TKS_OK, keys[i], &none);
    }
    tks_keyset_free(set);
    return 0;
}
