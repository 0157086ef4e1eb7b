-- A client's settings in nginx: the target, and how to connect to it.

local pool = require "tokenstore.nginx_pool"

local settings = {}

local function refuse(message)
  return nil, message, "configuration"
end

local function read_file(option, path)
  local file, problem = io.open(path, "rb")
  local text
  if file then
    text, problem = file:read "*a"
    file:close()
  end
  if text then
    return text
  end
  return refuse(("%s= cannot be read: %s"):format(option, (tostring(problem):gsub("^.*: ", ""))))
end

-- The client certificate and its key, for setclientcert.
local function read_pair(info)
  if not info.cert then
    return nil
  end
  local ssl = require "ngx.ssl"
  local cert, message, code = read_file("cert", info.cert)
  local key
  if cert then
    key, message, code = read_file("key", info.key or info.cert)
  end
  if not key then
    return nil, message, code
  end
  local parsed_cert = ssl.parse_pem_cert(cert)
  local parsed_key = ssl.parse_pem_priv_key(key)
  if not parsed_cert or not parsed_key then
    return refuse((parsed_cert and "key" or "cert") .. "= is not PEM")
  end
  return { cert = parsed_cert, key = parsed_key }
end

-- True for an address, false for a name.
local function is_address(host)
  return host:find(":", 1, true) ~= nil or host:find "^%d+%.%d+%.%d+%.%d+$" ~= nil
end

-- The address for nginx, and for core.probe.
local function find_place(info)
  local host = info.host
  if info.transport == "unix" then
    return "unix:" .. info.path, info.path
  elseif host == "localhost" then
    host = "127.0.0.1" -- nginx does not read the hosts file
  end
  return host:find(":", 1, true) and "[" .. host .. "]" or host, host
end

-- What neither a server nor a node of a cluster can have: nil, message, code; else true.
local function check(info)
  if info.ca then
    return refuse("ca= is not supported in nginx, which has one set of CAs for all: name the file in the "
      .. "directive lua_ssl_trusted_certificate")
  elseif info.host and info.host:find("%", 1, true) then
    return refuse("nginx cannot connect to an IPv6 address with a zone (" .. info.host
      .. "): use an address without a zone, or a host name")
  end
  local server_name = info.server_name or info.host -- a cluster's nodes have their own
  if info.tls and server_name and is_address(server_name) then
    return refuse("nginx cannot verify a certificate for an IP address: give server_name=")
  end
  return true
end

-- The client of a cluster: how to connect is a matter of each node, by its number.
local function of_cluster(target, info, credentials, pair)
  return {
    target = target,
    url = info.url,
    name = info.url:sub(1, 120),
    timeout = info.timeout,
    closed = false,
    spare = {},
    near_cache_staleness = info.near_cache_staleness,
    near_cache_tracking = info.near_cache_tracking,
    pair = pair,
    credentials = credentials,
    nodes = {},
  }
end

local function of_server(target, info, credentials, pair)
  local host, place = find_place(info)
  local port = info.transport == "tcp" and info.port or nil
  return {
    target = target,
    url = info.url,
    name = info.url:sub(1, 120),
    timeout = info.timeout,
    connect_timeout = info.connect_timeout,
    closed = false,
    spare = {},
    near_cache_staleness = info.near_cache_staleness,
    near_cache_tracking = info.near_cache_tracking,
    host = host,
    port = port,
    place = place,
    is_name = port ~= nil and not is_address(place),
    tls = info.tls,
    hint = info.greeting_hint, -- for a server that hangs up without replying to the greeting
    server_name = info.server_name or info.host,
    pair = pair,
    credentials = credentials,
    pool = pool.of(target, info, credentials),
  }
end

-- For a target, its core.target_info and the function `credentials` or nil: a table; nil, message, code.
function settings.of(target, info, credentials)
  if info.transport == "embedded" then
    return refuse("embedded: is not supported in nginx, whose workers come and go: start a redis-server and "
      .. "give its URL")
  end
  local good, message, code = check(info)
  local pair
  if good then
    pair, message, code = read_pair(info)
  end
  if message then
    return nil, message, code
  end
  local is_cluster = info.transport == "cluster" or info.transport == "sentinel"
  return (is_cluster and of_cluster or of_server)(target, info, credentials, pair)
end

-- The same for a node of the cluster whose table is `cluster`, where the files were read: workers may not be
-- allowed to.
function settings.of_node(cluster, target, info)
  local good, message, code = check(info)
  if not good then
    return nil, message, code
  end
  return of_server(target, info, cluster.credentials, cluster.pair)
end

return settings
