/* http_text.h - the small texts of HTTP: forms, Basic credentials, header fields, Retry-After.
 *
 * Threads: pure; nothing here has state. */
#ifndef TKSP_HTTP_TEXT_H
#define TKSP_HTTP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/buf.h"

/* The longest wait that tksp_http_retry_after returns: longer ones are cut to this. */
#define TKSP_RETRY_AFTER_MAX_MS INT64_C(315360000000) /* ten years of 365 days */

/* Appends `text` for application/x-www-form-urlencoded (RFC 6749 appendix B): what RFC 3986 calls
 * unreserved stays, letters, digits and -._~; every other byte becomes %XX, a space too. Every reader of
 * forms takes that, and one that does not decode, as some do not in Basic credentials, at least gets what is
 * unreserved right. Text is UTF-8 or whatever the caller has: bytes are taken as they are. TKS_OK or the
 * buffer's error. */
tks_status tksp_http_form_encode(tks_buf *out, tks_bytes text);

/* Appends "name=value", both encoded, after a '&' unless `out` is empty. TKS_OK or the buffer's
 * error. */
tks_status tksp_http_form_field(tks_buf *out, tks_bytes name, tks_bytes value);

/* Appends the value of an Authorization header, "Basic …": base64 of `id` ':' `secret`, each
 * form-encoded before (RFC 6749, 2.3.1), so that an id may hold a ':'; or `raw`, as they are. TKS_OK
 * or the buffer's error. `out` holds a secret afterwards: wipe it. */
tks_status tksp_http_basic(tks_buf *out, tks_bytes id, tks_bytes secret, bool raw);

/* Does it begin as the URL of a server does: http:// or https://, and more? */
bool tksp_http_is_url(tks_bytes url);

/* A header field's name: a token (RFC 9110, 5.6.2). */
bool tksp_http_is_header_name(tks_bytes name);

/* A header field's value that may be sent: no control character, a tab neither, and no blank at
 * either end (RFC 9110, 5.5). May be empty. */
bool tksp_http_is_header_value(tks_bytes value);

/* `text` without the blanks (spaces, tabs) at its ends. */
tks_bytes tksp_http_trim(tks_bytes text);

/* Is `name` the header name `wanted`? Letter case does not count. */
bool tksp_http_name_is(tks_bytes name, const char *wanted);

/* Is the media type in the Content-Type `value` this one ("application/json")? Parameters are left
 * aside, and letter case does not count. An empty value is of no type. */
bool tksp_http_media_type_is(tks_bytes value, const char *type);

/* Reads a Date, or another field that holds one, in any of the three forms of HTTP: milliseconds since 1970.
 * `now_ms`, likewise, tells the century where that has none. False where the value is no date. */
bool tksp_http_date(tks_bytes value, int64_t now_ms, int64_t *out_ms);

/* Reads a Retry-After (RFC 9110, 10.2.3): seconds, or a date in any of the three forms of HTTP,
 * counted from `now_ms` (since 1970). *out_ms is 0 (a date that has passed) …
 * TKSP_RETRY_AFTER_MAX_MS. False where the value is neither. */
bool tksp_http_retry_after(tks_bytes value, int64_t now_ms, int64_t *out_ms);

/* How long an answer with this Cache-Control (RFC 9111, 5.2.2) is fresh: its max-age in seconds, 0 for no-store and
 * no-cache, at most a year. False where it says nothing of that. */
bool tksp_http_max_age(tks_bytes cache_control, int64_t *out_s);

/* Is it a URL of https, or of http at this very host: localhost, 127.0.0.0/8 or [::1]? */
bool tksp_http_is_safe_url(tks_bytes url);

#endif
