---@meta tokenstore.audit

-- Types of the audit for LuaLS (lua-language-server). Never loaded.

---What was done with a token or a session: ids and owners, never a token or data.
---@class tokenstore.AuditEvent
---@field at number seconds since the epoch, by the server's clock; of used_after_end by this machine's
---@field kind "created"|"rotated"|"ended"|"reused"|"refused"|"used_after_end"
---@field name string the same in the words of the OWASP Logging Vocabulary
---@field reason? string logout, revoked, all, others, taken, too_many, reuse, undone; of rotated bound
---@field app? string
---@field type? string
---@field owner? string nil: nobody's, or not known
---@field sid? string rotations keep it
---@field id? string of the token
---@field count integer how many tokens
---@field actor? string who did it: see `acting` of the stores
---@field entry? string its id in the stream, of one that was read from there

---@class tokenstore.AuditPage
---@field prefix? string of the stores (default "ts"); of RedisJWT "rjwt-sessions"
---@field after? string the `entry` of the last event of the page before
---@field count? integer (default 100)
---@field reverse? boolean the newest first
