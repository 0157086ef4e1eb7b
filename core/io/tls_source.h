/* tls_source.h - the TLS context for the next connection, reloaded when its files change.
 *
 * Purpose:   certificates live for days, processes for months. Before each connection the files are checked
 *            with stat() and read again if one has changed. If the new ones cannot be used (half written, no
 *            longer readable), the old context stays in use.
 * Lifecycle: new reads the files at once and reports errors; get and release any number of times; free.
 * Threads:   everything but new and free is safe from many threads.
 * Fork:      a source belongs to the process that created it. A child makes its own with the inherited context,
 *            because it may no longer be allowed to read the files. */
#ifndef TKSP_IO_TLS_SOURCE_H
#define TKSP_IO_TLS_SOURCE_H

#include "tls.h"

typedef struct tksp_tls_source tksp_tls_source;

/* A source for `target`, which is borrowed and must outlive it. TKS_OK, TKS_ERR_CONFIGURATION (the message
 * names the
 * file), TKS_ERR_MEMORY. */
tks_status tksp_tls_source_new(const tks_target *target, tksp_tls_source **out, tks_error *err);

/* A source with the context of `parent`, which belongs to the parent process. NULL: out of memory. */
tksp_tls_source *tksp_tls_source_inherit(const tksp_tls_source *parent);

/* The context; the caller releases it. */
tksp_tls_context *tksp_tls_source_get(tksp_tls_source *source);

/* With `context` a server's certificate was not trusted. The CA certificates may have changed unnoticed:
 * returns true, and the next get reads the files again, unless that was already done for this context. */
bool tksp_tls_source_doubt(tksp_tls_source *source, const tksp_tls_context *context);

/* With `context` a server's certificate was trusted: the next rejection is a new doubt. */
void tksp_tls_source_trust(tksp_tls_source *source, const tksp_tls_context *context);

/* Why the files could not be reloaded, reported once; false: no problem. */
bool tksp_tls_source_take_warning(tksp_tls_source *source, tks_error *out);

/* NULL is accepted. */
void tksp_tls_source_free(tksp_tls_source *source);

#endif
