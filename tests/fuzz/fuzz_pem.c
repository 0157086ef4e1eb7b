/* fuzz_pem.c - any text is accepted or rejected as PEM; a key that can sign verifies its own tokens. */
#include "fuzz.h"
#include "fuzz_key_use.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const tks_key_options options = {.kid = {"kid", 3}, .password = {"pass w\xc3\xb6rd", 10}};
    tks_error err = TKS_ERROR_INIT;
    tks_key *key = NULL;

    REQUIRE(tks_secret_start(NULL) == TKS_OK);
    tks_status status = tks_key_from_pem(fuzz_bytes(data, size), &options, &key, &err);
    fuzz_use_key(status, key, &err);
    tks_key_free(key);
    return 0;
}
