---@meta tokenstore.spike

-- Types of tokenstore.Spike and get_token_creator for LuaLS (lua-language-server). Never loaded.
-- tests/lua/test_types.lua compares it with what the module has.

---How often and how long to retry if the server does not answer (5xx, 429 with a Retry-After, no
---connection). The pauses are random, up to these values. 400, 401 and 403 end it at once.
---@class tokenstore.Retry
---@field retries? integer after the first try, 0 … 100 (default 3)
---@field factor? number between pauses, 1 … 10 (default 2)
---@field min? number seconds: the first pause (default 0.1)
---@field max? number seconds: the longest pause (default 1)
---@field total? number seconds, for all tries together (default 10)

---Receives log lines, without newlines; never a token or a secret. Called within the method concerned, for
---Spike within the next one. A table's functions get only the text.
---@alias tokenstore.Logger
---| fun(level: "info"|"warning", text: string)
---| { info: fun(text: string), warning: fun(text: string) }

---"auto" depends on what is given; "basic" is percent-encoded as in RFC 6749; "basic_raw" is for servers
---that do not decode; "post" is the secret as a parameter; "private_key_jwt" and "client_secret_jwt" are
---RFC 7523, signed with `client_key` or the secret; "client_assertion" is a given one; "tls" is RFC 8705,
---by `cert` and `key` only; "none" is only the id.
---@alias tokenstore.ClientAuth
---| "auto" | "basic" | "basic_raw" | "post" | "private_key_jwt" | "client_secret_jwt" | "client_assertion" | "tls"
---| "none"

---@class tokenstore.SpikeOptions
---@field url string the server: its token endpoint is <url>/oauth2/token
---@field client_id string any characters
---@field client_secret? string|fun(): string?, string? a function is called for each fetch; it returns nil and a message on failure
---@field client_secret_file? string a file read for each fetch
---@field client_assertion? fun(): string?, string? returns an assertion issued elsewhere (RFC 7523), for each fetch
---@field client_assertion_file? string the same in a file
---@field client_auth? tokenstore.ClientAuth how the client authenticates (default "auto")
---@field client_key? string of "private_key_jwt": a private key as PEM or JWK; a JWK's kid is sent too
---@field client_certificate? string the certificate of client_key as PEM: assertions name it by x5t#S256, as Entra requires
---@field client_algorithm? tokenstore.jwt.Algorithm its algorithm; none: its first
---@field assertion_audience? string `aud` of an assertion made here (default: the token endpoint)
---@field redis? string|tokenstore.Client where all processes share tokens; none: only in this process
---@field token_key_prefix? string tokens are in the HASH <prefix><client_id>, a field for each audience, in the format of the Node package spike-token-manager (default "spike-tokens-for-clientId-")
---@field redis_key? string the name of that HASH, instead
---@field redis_string? string the STRING in which the Node package spike-get-token keeps its token
---@field issuer? string the required `iss` of the tokens
---@field discovery? boolean `url` is an issuer, whose metadata supplies what is not given: token_url, jwks_url, issuer, client_auth
---@field public_key_path? string file with the public key that verifies tokens: PEM or JWKS
---@field public_key_url? string its URL (default <url>/.well-known/publickey.pem)
---@field jwks_url? string the URL of a JWKS; only one of the three
---@field expiration_offset? number seconds: a token is not used this close to its expiry (default 10)
---@field default_lifetime? number seconds: the lifetime of an opaque token whose answer has no expires_in; none: that is an error
---@field retry? tokenstore.Retry
---@field logger? tokenstore.Logger none: nothing is logged
---@field ca? string file or directory with CA certificates; without it SSL_CERT_FILE, else the system's
---@field cert? string file with the client certificate
---@field key? string file with its key
---@field proxy? string URL of an HTTP proxy; "env": from HTTPS_PROXY etc., which are ignored otherwise
---@field verify? boolean false: accepts any certificate, with a warning (default true)
---@field connect_timeout? number seconds (default 5)
---@field token_url? string another token endpoint
---@field scope? string|string[] "{audience}" in it becomes the audience
---@field audience_parameter? "audience"|"resource"|false the name under which the audience is sent; false: it is not sent (default "audience")
---@field expect_audience? string|false the required `aud` of the tokens; false: it is not checked, and issuer is required (default "{audience}")
---@field grant_type? string (default "client_credentials")
---@field parameters? table<string, string> further parameters of the request, such as resource
---@field body_format? "form"|"json"
---@field headers? table<string, string> further headers of the token request; part of what identifies a token
---@field host_header? string another Host header
---@field token_format? "jwt"|"opaque" "jwt" is verified; for "opaque" the answer's expires_in is the lifetime

---@class tokenstore.AskedArgs
---@field audience? string
---@field scope? string|string[] in place of the Spike's
---@field resource? string|string[] URIs (RFC 8707)

---@class tokenstore.GetTokenArgs: tokenstore.AskedArgs
---@field timeout? number seconds for the whole call; none: `retry`'s total plus 10 s for Redis

---@class tokenstore.InvalidateArgs: tokenstore.AskedArgs
---@field token string the token that was rejected with 401

---Access tokens by OAuth 2.0 client credentials, for any number of audiences: each is fetched once, cached
---in memory and in Redis, and renewed in the background before it expires.
---@class tokenstore.Spike
---@field url string the server, without user and password
---@field client? tokenstore.Client
---@overload fun(options: tokenstore.SpikeOptions): tokenstore.Spike?, string?, tokenstore.Code?
local Spike = {}

---A Spike with `discovery`, whose metadata and public key have been read. `url` may be called `issuer`.
---@param options tokenstore.SpikeOptions
---@return tokenstore.Spike?
---@return string? message
---@return tokenstore.Code? code
function Spike.discover(options) end

---The server's answer without a token; nil if absent. Strings are truncated, free of control characters,
---and never contain a secret.
---@class tokenstore.SpikeAnswer
---@field status? integer HTTP status
---@field error? string the code of RFC 6749 (5.2)
---@field error_description? string
---@field error_uri? string
---@field location? string a redirect's target, without its query; it is not followed
---@field retry_after? number seconds until the next request; until then the same failure is returned at once
---@field of_client? boolean true: it applies to all requests of the client

---An access token, valid for at least `expiration_offset` seconds.
---@param audience string|tokenstore.GetTokenArgs each combination has its own token
---@return string?
---@return string? message
---@return tokenstore.Code? code
---@return tokenstore.SpikeAnswer? answer
function Spike:get_token(audience) end

---Forgets a token that was rejected with 401, here and in Redis, unless it has been replaced meanwhile: the
---next get_token fetches another. True; a failure means that Redis could not be updated.
---@param args tokenstore.InvalidateArgs
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
function Spike:invalidate(args) end

---Fetches the public key, and the metadata of `discovery`, now, to learn early whether the server can be
---reached. True. May be called twice.
---@return boolean?
---@return string? message
---@return tokenstore.Code? code
---@return tokenstore.SpikeAnswer? answer
function Spike:initialize() end

---True if the public key is loaded (or not needed), and this object is open.
---@return boolean
function Spike:is_initialized() end

---Stops renewing, and closes the client unless it was passed in. May be called twice.
function Spike:close() end

Spike.getToken = Spike.get_token
Spike.isInitialized = Spike.is_initialized

---The options of the Node package spike-get-token, by their names.
---@class tokenstore.TokenCreatorOptions
---@field ClientId? string or clientId
---@field ClientSecret? string or clientSecret
---@field spikeURL? string or spikeUrl; with a path it is the token endpoint itself
---@field tokenAudience string
---@field tokenGrantType? string
---@field tokenRedisKeyName? string
---@field spikePublicKeyFullPath? string
---@field useRedis? boolean
---@field redisHost? string a host, or a URL
---@field httpsValidation? boolean (default true; false warns)
---@field hostHeader? string
---@field retries? integer
---@field sleepBetweenRetries? number milliseconds
---@field clientId? string
---@field clientSecret? string
---@field spikeUrl? string
---@field logger? tokenstore.Logger

---@class tokenstore.TokenCreator
---@field close fun(self: tokenstore.TokenCreator) closes the underlying objects; may be called twice
---@overload fun(): string?, string?, tokenstore.Code?

return { Spike = Spike }
