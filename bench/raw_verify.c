/* bench/raw_verify.c - the baseline of verifying a signature: the primitive alone, in a loop.
 *
 * Purpose:   verifies one signature repeatedly: RS256 as a program on bare OpenSSL would (EVP_DigestVerify
 *            with a reused context), Ed25519 with libsodium. No base64, no JSON. Reads jobs from stdin, one
 *            per line, and prints "ok" when a job is done; the caller measures the time.
 *                rs256 COUNT            eddsa COUNT
 *            The arguments are the files: public key (PEM; Ed25519: 32 bytes), signed bytes, signature.
 * Lifecycle: reads all files at the start; runs until stdin ends.
 * Threads:   one. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_SIZE = 128, FILE_SIZE = 8192 };

typedef struct bytes {
    unsigned char data[FILE_SIZE];
    size_t size;
} bytes;

typedef struct job {
    bytes text, signature;
} job;

static bool read_file(const char *path, bytes *out) {
    FILE *file = fopen(path, "rb");
    if (file == NULL) return false;
    out->size = fread(out->data, 1, sizeof out->data, file);
    return fclose(file) == 0 && out->size > 0;
}

static bool run_rs256(EVP_PKEY *key, const job *j, long count) {
    EVP_MD *digest = EVP_MD_fetch(NULL, "SHA2-256", NULL);
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool good = digest != NULL && context != NULL;
    for (long i = 0; good && i < count; i++) {
        good = EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
               EVP_DigestVerify(context, j->signature.data, j->signature.size, j->text.data,
                                j->text.size) == 1;
    }
    EVP_MD_CTX_free(context);
    EVP_MD_free(digest);
    return good;
}

static bool run_eddsa(const bytes *key, const job *j, long count) {
    bool good = key->size == crypto_sign_PUBLICKEYBYTES && j->signature.size == crypto_sign_BYTES;
    for (long i = 0; good && i < count; i++) {
        good = crypto_sign_verify_detached(j->signature.data, j->text.data, j->text.size,
                                           key->data) == 0;
    }
    return good;
}

int main(int argc, char **argv) {
    static job rs256, eddsa;
    static bytes pem, public;
    if (argc != 7) {
        fprintf(stderr, "usage: raw_verify PEM TEXT SIGNATURE ED25519_KEY TEXT SIGNATURE < jobs\n");
        return 2;
    }
    if (sodium_init() < 0 || !read_file(argv[1], &pem) || !read_file(argv[2], &rs256.text) ||
        !read_file(argv[3], &rs256.signature) || !read_file(argv[4], &public) ||
        !read_file(argv[5], &eddsa.text) || !read_file(argv[6], &eddsa.signature)) {
        fprintf(stderr, "raw_verify: a file cannot be read\n");
        return 1;
    }
    BIO *memory = BIO_new_mem_buf(pem.data, (int)pem.size);
    EVP_PKEY *key = PEM_read_bio_PUBKEY(memory, NULL, NULL, NULL);
    BIO_free(memory);
    int status = key != NULL ? 0 : 1;
    char line[LINE_SIZE];
    while (status == 0 && fgets(line, sizeof line, stdin) != NULL) {
        long count = strtol(line + 6, NULL, 10);
        bool good = strncmp(line, "rs256 ", 6) == 0 ? run_rs256(key, &rs256, count)
                                                    : run_eddsa(&public, &eddsa, count);
        puts(good ? "ok" : "failed");
        fflush(stdout);
        if (!good) status = 1;
    }
    EVP_PKEY_free(key);
    return status;
}
