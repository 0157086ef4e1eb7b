-- A stand-in for Kong's definitions of common fields: those that the schema of tokenstore-auth uses.

local function check_header_name(name)
  if not name:find "^[%w_-]+$" then
    return nil, "bad header name '" .. name .. "', allowed characters are A-Z, a-z, 0-9, '_', and '-'"
  end
  return true
end

return {
  header_name = { type = "string", custom_validator = check_header_name },
  no_consumer = { type = "foreign", reference = "consumers", eq = "null" },
  protocols_http = { type = "set", elements = { type = "string" } },
}
