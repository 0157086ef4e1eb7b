/* jwt_secret.c - detects keys of other kinds given as an HMAC secret.
 *
 * Purpose:   if a public key were used as a secret, anybody who knows it could sign (RFC 8725,
 *            2.1). So keys are recognised by their structure, in the encodings common in
 *            configurations: DER (X.690) of X.509, PKCS#1, #7, #8, #12 and SEC 1; SSH (RFC 4253,
 *            6.6); PEM, RFC 4716, JWK, XML; and these in the encodings of jwt_secret_spellings.c,
 *            after blanks and quotes.
 * Rules:     a random secret is never rejected, be it bytes or text: each form has at least 48
 *            fixed bits. A bare public key, such as the 32 bytes of Ed25519, cannot be
 *            distinguished from a secret.
 * Lifecycle: decoded text is wiped. */
#include <stdlib.h>

#include "jwt_private.h"
#include "jwt_secret.h"
#include "tokenstore/secret.h"

enum {
    LOOK_MAX = 32 * 1024, /* bytes searched for the beginning of a key */
    DEPTH_MAX = 4,        /* base64 of UTF-16 of PEM, and so on */
    KTY_MAX = 16,
    SHORTEST = 7,  /* kty:RSA */
    PKCS1_MIN = 64 /* bytes of the smallest modulus ever used */
};

/* ---- DER --------------------------------------------------------------------------------------- */

enum {
    INTEGER = 0x02,
    BIT_STRING,
    OCTET_STRING,
    OID = 0x06,
    SEQUENCE = 0x30,
    SET,
    CONTEXT_0 = 0xA0,
    CONTEXT_1
};

typedef struct element {
    unsigned tag;
    tks_bytes body,
        rest; /* `rest` is what follows it; an indefinite one (X.690, 8.1.3.6) takes all */
} element;

static bool next_element(tks_bytes text, element *out) {
    const unsigned char *at = (const unsigned char *)text.data;
    size_t size, head = 2;
    if (text.size < 2) return false;
    out->tag = at[0];
    size = at[1];
    if (size > 0x84) return false;
    if (size == 0x80) {
        out->body = skip(text, 2);
        out->rest = skip(text, text.size);
        return true;
    }
    if (size > 0x80) {
        head += size - 0x80;
        if (text.size < head) return false;
        size = 0;
        for (size_t i = 2; i < head; i++) size = size << 8 | at[i];
    }
    if (size > text.size - head) return false;
    out->body = tks_bytes_of(text.data + head, size);
    out->rest = skip(text, head + size);
    return true;
}

static bool next_is(tks_bytes text, unsigned tag, element *out) {
    return next_element(text, out) && out->tag == tag;
}

/* True at the end of an element's content. Two NULs end an indefinite one. */
static bool is_end(tks_bytes rest) {
    return rest.size == 0 || (rest.size >= 2 && rest.data[0] == '\0' && rest.data[1] == '\0');
}

/* SEQUENCE { OID … } at the beginning: an algorithm. */
static bool is_algorithm(tks_bytes text, element *out) {
    element name;
    return next_is(text, SEQUENCE, out) && next_is(out->body, OID, &name) && name.body.size >= 3 &&
           name.body.size <= 16;
}

/* SEQUENCE { algorithm, BIT STRING } (SPKI), or { algorithm, OCTET STRING } (PKCS#8, encrypted). */
static bool is_spki(tks_bytes body) {
    element algorithm, key;
    return is_algorithm(body, &algorithm) && next_element(algorithm.rest, &key) &&
           is_end(key.rest) &&
           (key.tag == OCTET_STRING ||
            (key.tag == BIT_STRING && key.body.size > 0 && key.body.data[0] == 0));
}

/* A certificate or a request for one: SEQUENCE { SEQUENCE { … }, algorithm, BIT STRING }. */
static bool is_signed(tks_bytes body) {
    element content, inner, algorithm, signature;
    return next_is(body, SEQUENCE, &content) && next_element(content.body, &inner) &&
           (inner.tag == CONTEXT_0 || inner.tag == INTEGER) &&
           is_algorithm(content.rest, &algorithm) &&
           next_is(algorithm.rest, BIT_STRING, &signature) && is_end(signature.rest);
}

/* A positive odd number, like a modulus or an exponent. */
static bool is_odd(tks_bytes number) {
    return number.size > 0 && (number.data[0] & 0x80) == 0 &&
           (number.data[number.size - 1] & 1) == 1;
}

/* Formats that begin with a number: PKCS#1, PKCS#8, PKCS#12, SEC 1, and DSA's private key. */
static bool is_numbered(tks_bytes body) {
    element number, next, inner;
    if (!next_is(body, INTEGER, &number) || !next_element(number.rest, &next)) return false;
    if (number.body.size >= PKCS1_MIN) {
        return next.tag == INTEGER && is_end(next.rest) && next.body.size <= 8 &&
               is_odd(number.body) && is_odd(next.body);
    }
    if (number.body.size != 1 || (unsigned char)number.body.data[0] > 3) return false;
    switch (next.tag) {
    case SEQUENCE: return next_is(next.body, OID, &inner);
    case INTEGER: return next.body.size >= PKCS1_MIN && next_is(next.rest, INTEGER, &inner);
    case OCTET_STRING:
        return next.body.size >= 16 && next.body.size <= 72 &&
               (is_end(next.rest) || (next_element(next.rest, &inner) &&
                                      (inner.tag == CONTEXT_0 || inner.tag == CONTEXT_1)));
    default: return false;
    }
}

bool tksp_is_der(tks_bytes text) {
    static const char pkcs7[] = "\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07";
    element all;
    return next_is(text, SEQUENCE, &all) && (is_spki(all.body) || is_signed(all.body) ||
                                             is_numbered(all.body) || begins_with(all.body, pkcs7));
}

/* A key in SSH's wire format begins with the length and the name of its type. */
static bool is_ssh(tks_bytes text) {
    if (!begins_with(text, "openssh-key-v1") && text.size < 12) return false;
    if (begins_with(text, "openssh-key-v1")) return true;
    if (memcmp(text.data, "\0\0\0", 3) != 0) return false;
    text = skip(text, 4);
    return begins_with(text, "ssh-") || begins_with(text, "ecdsa-sha2-") ||
           begins_with(text, "sk-ssh-") || begins_with(text, "sk-ecdsa-") ||
           begins_with(text, "rsa-sha2-") || begins_with(text, "x509v3-");
}

/* ---- text --------------------------------------------------------------------------------------- */

/* Base64 of a DER key begins with "M"; that of an SSH key with "AAAA", three NULs. */
static bool is_key_in_64(tks_bytes text, char *room) {
    size_t size;
    (void)tksp_decode_64(text, room, &size);
    return tksp_is_der(tks_bytes_of(room, size)) || is_ssh(tks_bytes_of(room, size));
}

/* Skips leading whitespace; in a URL's query '+' is a space. */
static tks_bytes skip_blanks(tks_bytes text) {
    while (text.size > 0 && (is_blank(*text.data) || *text.data == '+')) text = skip(text, 1);
    return text;
}

static bool is_alnum(char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

/* True at the quote of a member "kty" with a string as its value. */
static bool is_kty(tks_bytes text) {
    size_t size = 0;
    char quote = *text.data;
    text = skip(text, 1);
    if (!begins_with(text, "kty") || text.size < 4 || text.data[3] != quote) return false;
    text = skip_blanks(skip(text, 4));
    if (text.size == 0 || *text.data != ':') return false;
    text = skip_blanks(skip(text, 1));
    if (text.size == 0 || !is_quote(*text.data)) return false;
    text = skip(text, 1);
    while (size < text.size && size <= KTY_MAX && is_alnum(text.data[size])) size++;
    return size > 0 && size <= KTY_MAX && size < text.size && is_quote(text.data[size]);
}

static bool contains(tks_bytes text, const char *part) {
    while (text.size > 0 && !begins_with(text, part)) text = skip(text, 1);
    return text.size > 0;
}

/* A member kty as YAML, TOML, XML, JavaScript, Ruby, PHP and query strings write it: kty: RSA,
 * kty=RSA, 'kty' => 'RSA'. EC is too short to count without the name of a curve. */
static bool is_bare_kty(tks_bytes text, tks_bytes all) {
    static const char between[] = ":=>,];";
    static const char *const types[] = {"RSA", "OKP", "AKP", "oct", "EC"};
    bool separated = false;
    if (!begins_with(text, "kty")) return false;
    for (text = skip(text, 3); text.size > 0; text = skip(text, 1)) {
        const char c = *text.data;
        const bool separates = memchr(between, c, sizeof between - 1) != NULL;
        if (!separates && !is_blank(c) && !is_quote(c)) break;
        separated = separated || separates;
    }
    for (size_t i = 0; separated && i < sizeof types / sizeof *types; i++) {
        const size_t size = strlen(types[i]);
        if (!begins_with(text, types[i])) continue;
        if (text.size > size && is_alnum(text.data[size])) continue;
        return size > 2 || contains(all, "crv");
    }
    return false;
}

/* True if the text contains a key anywhere. `room` is as large as the text. */
static bool is_key_in_text(const tks_bytes all, char *room) {
    bool found = false;
    char before = ' ';
    for (tks_bytes text = all; text.size >= SHORTEST && !found;
         before = *text.data, text = skip(text, 1)) {
        switch (*text.data) {
        case SEQUENCE: found = tksp_is_der(text); break;
        case '\0':
        case 'o': found = is_ssh(text); break;
        case '-': found = begins_with(text, "-----BEGIN") || begins_with(text, "---- BEGIN"); break;
        case 'R':
        case 'E':
        case 'D': /* XML Signature: <RSAKeyValue>, <dsig11:ECKeyValue> */
            found = (before == '<' || before == ':') &&
                    (begins_with(text, "RSAKeyValue") || begins_with(text, "ECKeyValue") ||
                     begins_with(text, "DSAKeyValue"));
            break;
        case '"':
        case '\'': found = is_kty(text); break;
        case 'k': found = !is_alnum(before) && is_bare_kty(text, all); break;
        case 'A': found = begins_with(text, "AAAA") && is_key_in_64(text, room); break;
        case 'M':
            found = text.data[1] >= 'A' && text.data[1] <= 'I' && is_key_in_64(text, room);
            break;
        default: break;
        }
    }
    return found;
}

/* Looks for a key in `text` and in its decodings. TKS_OK or TKS_ERR_MEMORY. */
static tks_status look(tks_bytes text, unsigned depth, bool *found) {
    tks_status status = TKS_OK;
    char *room = malloc(text.size + 1);
    if (room == NULL) return TKS_ERR_MEMORY;
    *found = is_key_in_text(text, room);
    for (size_t i = 0; tksp_spellings[i] != NULL && depth < DEPTH_MAX; i++) {
        if (*found || status != TKS_OK) break;
        size_t size = tksp_spellings[i](text, room);
        if (size > 0) status = look(tks_bytes_of(room, size), depth + 1, found);
    }
    tks_wipe(room, text.size);
    free(room);
    return status;
}

tks_status tksp_secret_check(tks_bytes secret, tks_error *err) {
    bool found = false;
    if (secret.size > LOOK_MAX) secret.size = LOOK_MAX;
    if (look(secret, 0, &found) != TKS_OK) return tks_fail_memory(err);
    return !found ? TKS_OK
                  : tks_fail(err, TKS_ERR_CONFIGURATION,
                             "not an HMAC secret but another type of key: load PEM with from_pem "
                             "and a JWK with from_jwk");
}
