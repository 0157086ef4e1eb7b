/* tls_source.h - the TLS context for the next connection: a new one where its files were renewed.
 *
 * Purpose:   certificates live for days now, and processes for months. Before each connection the files are
 *            looked at (stat), and read again when one has changed. Where new ones cannot be used - they may
 *            be half written, or belong to somebody else by now - the old context goes on.
 * Lifecycle: new reads the files at once, so that bad ones are reported there; get and release any number of
 *            times; free.
 * Threads:   everything but new and free is safe from many threads.
 * Fork:      a source belongs to the process that made it; a child inherits the context into one of its
 *            own, since it may not be allowed to read the files any more. */
#ifndef TKSP_IO_TLS_SOURCE_H
#define TKSP_IO_TLS_SOURCE_H

#include "tls.h"

typedef struct tksp_tls_source tksp_tls_source;

/* For `target`, which is borrowed for the source's life. TKS_OK, TKS_ERR_CONFIGURATION (the message names the
 * file), TKS_ERR_MEMORY. */
tks_status tksp_tls_source_new(const tks_target *target, tksp_tls_source **out, tks_error *err);

/* One with the context of `parent`, which is another process's. NULL when memory is out. */
tksp_tls_source *tksp_tls_source_inherit(const tksp_tls_source *parent);

/* The context, the caller's to release. */
tksp_tls_context *tksp_tls_source_get(tksp_tls_source *source);

/* With `context` a server's certificate was not trusted. Then the authorities may have been renewed in a way
 * that does not show: true, and the next get reads the files again - unless that was done for this context. */
bool tksp_tls_source_doubt(tksp_tls_source *source, const tksp_tls_context *context);

/* Why the files were not read again, told once; false: they were. */
bool tksp_tls_source_take_warning(tksp_tls_source *source, tks_error *out);

/* NULL is accepted. */
void tksp_tls_source_free(tksp_tls_source *source);

#endif
