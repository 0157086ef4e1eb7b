/* address_map.c - see address_map.h. */
#include "address_map.h"

#include "number_text.h"

enum { HOST_SIZE_MAX = 253 };

typedef struct address {
    tks_bytes host;
    uint16_t port; /* 0: none */
} address;

static size_t find(tks_bytes text, char c) {
    const char *at = text.size > 0 ? memchr(text.data, c, text.size) : NULL;
    return at != NULL ? (size_t)(at - text.data) : text.size;
}

static tks_bytes slice(tks_bytes text, size_t from, size_t to) {
    return tks_bytes_of(text.data + from, to - from);
}

/* "host", "host:7000", "::1" or "[::1]:7000". */
static bool read_address(tks_bytes text, address *out) {
    bool brackets = text.size > 0 && text.data[0] == '[';
    size_t end = find(text, brackets ? ']' : ':'), after = brackets ? end + 1 : end;
    uint64_t port = 0;
    if (brackets && end == text.size) return false;
    if (!brackets && end < text.size &&
        find(slice(text, end + 1, text.size), ':') + end + 1 < text.size) {
        end = after = text.size; /* more than one colon */
    }
    out->host = slice(text, brackets ? 1 : 0, end);
    if (after < text.size &&
        (text.data[after] != ':' ||
         !tksp_decimal(slice(text, after + 1, text.size), UINT16_MAX, &port) || port == 0)) {
        return false;
    }
    out->port = (uint16_t)port;
    return out->host.size > 0 && out->host.size <= HOST_SIZE_MAX &&
           find(out->host, '=') == out->host.size;
}

/* Takes the first entry off the text. False: it is none. */
static bool next_entry(tks_bytes *rest, address *from, address *to) {
    size_t end = find(*rest, ',');
    tks_bytes entry = slice(*rest, 0, end);
    size_t equals = find(entry, '=');
    *rest = slice(*rest, end < rest->size ? end + 1 : end, rest->size);
    return equals < entry.size && read_address(slice(entry, 0, equals), from) &&
           read_address(slice(entry, equals + 1, entry.size), to);
}

bool tksp_is_address_map(tks_bytes map) {
    address from, to;
    bool good = map.size > 0 && map.data[map.size - 1] != ',';
    for (size_t i = 0; good && i < map.size; i++) good = map.data[i] > ' ' && map.data[i] < 0x7f;
    while (good && map.size > 0) good = next_entry(&map, &from, &to);
    return good;
}

void tksp_address_map(tks_bytes map, tks_bytes *host, uint16_t *port) {
    address from, to;
    while (map.size > 0 && next_entry(&map, &from, &to)) {
        if (!tks_bytes_equal(from.host, *host) || (from.port != 0 && from.port != *port)) continue;
        *host = to.host;
        if (to.port != 0) *port = to.port;
        return;
    }
}
