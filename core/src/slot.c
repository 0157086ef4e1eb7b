/* slot.c - see slot.h. */
#include "slot.h"

#include <stdint.h>

tks_bytes tksp_slot_tag(tks_bytes key) {
    const char *open = key.size > 0 ? memchr(key.data, '{', key.size) : NULL;
    if (open == NULL) return key;
    size_t from = (size_t)(open + 1 - key.data);
    const char *close = memchr(key.data + from, '}', key.size - from);
    size_t size = close != NULL ? (size_t)(close - key.data) - from : 0;
    return size > 0 ? tks_bytes_of(key.data + from, size) : key;
}

/* Four bits at a time: a key is short, and this is no hot path beside a round trip. */
static uint16_t crc16(tks_bytes text) {
    static const uint16_t table[16] = {0x0000, 0x1021, 0x2042, 0x3063, 0x4084, 0x50a5,
                                       0x60c6, 0x70e7, 0x8108, 0x9129, 0xa14a, 0xb16b,
                                       0xc18c, 0xd1ad, 0xe1ce, 0xf1ef};
    uint16_t crc = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned byte = (unsigned char)text.data[i];
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ byte >> 4) & 15]);
        crc = (uint16_t)(crc << 4 ^ table[(crc >> 12 ^ (byte & 15)) & 15]);
    }
    return crc;
}

unsigned tksp_slot_of(tks_bytes key) {
    return crc16(tksp_slot_tag(key)) % TKS_SLOTS;
}
