/* jwt_pem.c - repairs PEM from environment variables, YAML and JSON, and explains what else a text may be.
 *
 * Purpose:   OpenSSL requires the line breaks of PEM (RFC 7468). This restores them in a text on one line,
 *            with spaces or "\n" for newlines, indented, or with other lines around it.
 * Threads:   no state. */
#include "jwt_private.h"

static const char begin_mark[] = "-----BEGIN ", end_mark[] = "-----END ", dashes[] = "-----";
enum { LINE = 64 };

static bool begins_with(tks_bytes text, const char *part) {
    size_t size = strlen(part);
    return text.size >= size && memcmp(text.data, part, size) == 0;
}

static tks_bytes skip(tks_bytes text, size_t size) {
    return tks_bytes_of(text.data + size, text.size - size);
}

/* Removes the text up to and including `part`; *before is what preceded it. False: not found. */
static bool cut(tks_bytes *text, const char *part, tks_bytes *before) {
    for (size_t i = 0; i < text->size; i++) {
        if (!begins_with(skip(*text, i), part)) continue;
        *before = tks_bytes_of(text->data, i);
        *text = skip(*text, i);
        return true;
    }
    return false;
}

static bool contains(tks_bytes text, const char *part) {
    tks_bytes before;
    return cut(&text, part, &before);
}

static bool is_blank(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The length of a newline here: itself, or backslashes with 'n' or 'r'. 0: none. */
static size_t newline_size(tks_bytes text) {
    size_t size = 0;
    if (begins_with(text, "\r\n")) return 2;
    if (text.size > 0 && (*text.data == '\n' || *text.data == '\r')) return 1;
    if (begins_with(text, "\\r\\n")) return 4;
    while (size < text.size && text.data[size] == '\\') size++;
    if (size == 0 || size == text.size) return 0;
    return text.data[size] == 'n' || text.data[size] == 'r' ? size + 1 : 0;
}

/* The base64 of a block in lines of LINE characters. Other characters are kept, so that they are rejected
 * later. */
static void write_base64(tks_bytes body, tks_buf *out) {
    size_t column = 0;
    while (body.size > 0) {
        size_t newline = newline_size(body);
        char c = *body.data;
        body = skip(body, newline > 0 ? newline : 1);
        if (newline > 0 || is_blank(c) || (c == '\\' && body.size > 0 && *body.data == '/')) {
            continue;
        }
        (void)tks_buf_append_char(out, c);
        if (++column % LINE == 0) (void)tks_buf_append_char(out, '\n');
    }
    if (column % LINE != 0) (void)tks_buf_append_char(out, '\n');
}

/* A block with headers (RFC 1421) is encrypted: keep its lines. */
static void write_lines(tks_bytes body, tks_buf *out) {
    bool at_start = true;
    while (newline_size(body) > 0) body = skip(body, newline_size(body));
    while (body.size > 0) {
        size_t newline = newline_size(body);
        if (newline > 0) {
            (void)tks_buf_append_char(out, '\n');
        } else if (!at_start || !is_blank(*body.data)) {
            (void)tks_buf_append_char(out, *body.data);
        }
        at_start = newline > 0 || (at_start && is_blank(*body.data));
        body = skip(body, newline > 0 ? newline : 1);
    }
    if (!at_start) (void)tks_buf_append_char(out, '\n');
}

static void write_mark(const char *mark, tks_bytes label, tks_buf *out) {
    (void)tks_buf_append(out, mark, strlen(mark));
    (void)tks_buf_append_bytes(out, label);
    (void)tks_buf_append(out, "-----\n", 6);
}

tks_status tksp_pem_tidy(tks_bytes text, tks_buf *out) {
    tks_bytes before, label, body;
    while (cut(&text, begin_mark, &before)) {
        text = skip(text, sizeof begin_mark - 1);
        if (!cut(&text, dashes, &label)) break;
        text = skip(text, sizeof dashes - 1);
        if (!cut(&text, end_mark, &body)) break;
        write_mark(begin_mark, label, out);
        if (memchr(body.data, ':', body.size) != NULL) {
            write_lines(body, out);
        } else {
            write_base64(body, out);
        }
        text = skip(text, sizeof end_mark - 1);
        if (!cut(&text, dashes, &label)) break; /* the labels differ: rejected later */
        write_mark(end_mark, label, out);
    }
    return out->status;
}

/* ---- other formats ---------------------------------------------------------------------------------- */

static bool is_path(tks_bytes text) {
    static const char *const ends[] = {".pem", ".key", ".crt", ".cer", ".pub", ".der"};
    if (text.size > 1024 || memchr(text.data, '\n', text.size) != NULL) return false;
    if (*text.data == '/' || begins_with(text, "./") || begins_with(text, "../")) return true;
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        if (text.size > 4 && begins_with(skip(text, text.size - 4), ends[i])) return true;
    }
    return false;
}

const char *tksp_pem_explain(tks_bytes text) {
    while (text.size > 0 && (is_blank(*text.data) || *text.data == '"')) text = skip(text, 1);
    if (text.size == 0) return "text is empty: PEM expected";
    if (contains(text, "-----BEGIN OPENSSH PRIVATE KEY")) {
        return "is in OpenSSH's own format: convert it with ssh-keygen -p -m PKCS8 -f FILE";
    }
    if (contains(text, "ssh-") || contains(text, "ecdsa-sha2-") ||
        contains(text, "---- BEGIN SSH2")) {
        return "is an SSH key: convert it with ssh-keygen -e -m PKCS8 -f FILE";
    }
    if (contains(text, "-----BEGIN%20") || contains(text, "-----BEGIN+")) {
        return "is percent-encoded PEM: decode it first";
    }
    if (contains(text, "-----BEGIN PGP ")) return "is an OpenPGP key: it cannot be used here";
    if (contains(text, begin_mark) && contains(text, "Proc-Type:")) {
        return "is encrypted PEM whose lines were lost: give it with its newlines";
    }
    if (contains(text, begin_mark) && contains(text, end_mark)) {
        return "in the PEM text could not be read: its base64 is invalid, or its labels differ";
    }
    if (contains(text, begin_mark)) {
        return "text contains a PEM block without its \"-----END …\" line";
    }
    if (tksp_is_der(text)) {
        return "is DER: convert it to PEM with openssl pkey -inform DER, adding -pubin for a "
               "public key";
    }
    if (memchr(text.data, '\0', text.size) != NULL) {
        return "text contains NUL bytes: if it is UTF-16, convert it to UTF-8";
    }
    if (*text.data == '{' || *text.data == '[') {
        return "is JSON: use Key.from_jwk for a JWK, KeySet.from_jwks for a JWKS";
    }
    if (begins_with(text, "LS0tLS1CRUdJTi")) return "is base64 of a PEM text: decode it first";
    if (begins_with(text, "MI") || begins_with(text, "MF") || begins_with(text, "MC") ||
        begins_with(text, "MH")) {
        return "is PEM without its first and last line, \"-----BEGIN …\" and \"-----END …\"";
    }
    if (is_path(text)) return "looks like a file name: pass the file's content";
    return "text contains no PEM block: \"-----BEGIN …\" expected";
}
