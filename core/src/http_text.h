/* http_text.h - HTTP text formats: forms, Basic credentials, header fields, Retry-After.
 *
 * Threads:   no state. */
#ifndef TKSP_HTTP_TEXT_H
#define TKSP_HTTP_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "tokenstore/buf.h"

/* The longest wait that tksp_http_retry_after returns: longer ones are reduced to it. */
#define TKSP_RETRY_AFTER_MAX_MS INT64_C(315360000000) /* ten years of 365 days */

/* Appends `text` for application/x-www-form-urlencoded (RFC 6749 appendix B): unreserved characters (RFC
 * 3986: letters, digits and -._~) are unchanged, every other byte becomes %XX, including the space. Every
 * form decoder accepts this, and servers that do not decode Basic credentials still read unreserved
 * characters correctly. Bytes are encoded as they are, in any encoding. TKS_OK or the
 * buffer's error. */
tks_status tksp_http_form_encode(tks_buf *out, tks_bytes text);

/* Appends "name=value", both encoded, after a '&' unless `out` is empty. TKS_OK or the buffer's
 * error. */
tks_status tksp_http_form_field(tks_buf *out, tks_bytes name, tks_bytes value);

/* Appends the value of an Authorization header, "Basic …": base64 of `id` ':' `secret`, each form-encoded
 * first (RFC 6749, 2.3.1), so that an id may contain a ':'; with `raw`, unchanged. TKS_OK
 * or the buffer's error. `out` contains a secret afterwards: wipe it. */
tks_status tksp_http_basic(tks_buf *out, tks_bytes id, tks_bytes secret, bool raw);

/* True if it begins with http:// or https://, followed by something. */
bool tksp_http_is_url(tks_bytes url);

/* A header field's name: a token (RFC 9110, 5.6.2). */
bool tksp_http_is_header_name(tks_bytes name);

/* A header field's value that may be sent: no control character, no tab, and no whitespace at either end (RFC
 * 9110, 5.5). May be empty. */
bool tksp_http_is_header_value(tks_bytes value);

/* `text` without spaces and tabs at its ends. */
tks_bytes tksp_http_trim(tks_bytes text);

/* True if `name` is the header name `wanted`; case-insensitive. */
bool tksp_http_name_is(tks_bytes name, const char *wanted);

/* True if the Content-Type `value` has this media type ("application/json"); case-insensitive, without
 * parameters. False for an empty value. */
bool tksp_http_media_type_is(tks_bytes value, const char *type);

/* Reads a date, as in the header Date, in any of HTTP's three formats: milliseconds since 1970. `now_ms`,
 * likewise, determines the century of a two-digit year. False: not a date. */
bool tksp_http_date(tks_bytes value, int64_t now_ms, int64_t *out_ms);

/* Reads a Retry-After (RFC 9110, 10.2.3): seconds, or a date in any of HTTP's three formats, relative to
 * `now_ms` (since 1970). *out_ms is 0 (a date in the past) … TKSP_RETRY_AFTER_MAX_MS. False: neither. */
bool tksp_http_retry_after(tks_bytes value, int64_t now_ms, int64_t *out_ms);

/* How long a response with this Cache-Control (RFC 9111, 5.2.2) is fresh: max-age in seconds, 0 for no-store
 * and no-cache, at most a year. False: not specified. */
bool tksp_http_max_age(tks_bytes cache_control, int64_t *out_s);

/* True for an https URL, or an http URL of this host: localhost, 127.0.0.0/8 or [::1]. */
bool tksp_http_is_safe_url(tks_bytes url);

#endif
