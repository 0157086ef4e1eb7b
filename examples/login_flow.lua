-- A login flow: log in, stay logged in, see one's devices, log one out, log all out.
-- Runs on $TOKENSTORE_URL, or else on a private server.
local tokenstore = require "tokenstore"

local DAY = 24 * 3600

local sessions = assert(tokenstore.Sessions {
  redis = os.getenv "TOKENSTORE_URL" or "embedded:",
  max_age = 30 * DAY, -- after a month users log in again, however active
  max_per_owner = 5, -- a sixth device ends the oldest session
})

-- Yours are in a database, hashed by something slow (argon2, scrypt).
local function password_is_right(user, password) return user == "bob" and password == "correct horse" end

-- The token to set as a cookie (HttpOnly, Secure, SameSite), or nil.
local function log_in(user, password, device)
  if not password_is_right(user, password) then return nil end
  return assert(sessions:create {
    app = "shop", owner_id = user, duration = DAY,
    data = { device = device, cart = tokenstore.array {} },
  })
end

-- On each request: one round trip, and the session's expiry slides (at most one write a minute). "Not
-- found" is nil alone; nil with a message is a failure, which is not the same as "logged out".
local function who_is(cookie)
  local session, message = sessions:get { app = "shop", token = cookie, refresh = DAY }
  if message then error(message) end
  return session
end

local function put_in_cart(cookie, cart)
  return assert(sessions:update { app = "shop", token = cookie, data = { cart = cart } })
end

-- With more rights, a new token: one that leaked before becomes invalid.
local function become_admin(cookie)
  local new = assert(sessions:rotate { app = "shop", token = cookie })
  assert(sessions:update { app = "shop", token = new, data = { admin = true } })
  return new
end

local function devices(user)
  local names = {}
  for i, session in ipairs(assert(sessions:list { app = "shop", owner_id = user })) do
    names[i] = session.data.device
  end
  return table.concat(names, ", ")
end

assert(log_in("bob", "wrong", "laptop") == nil)
local laptop = log_in("bob", "correct horse", "laptop")
local phone = log_in("bob", "correct horse", "phone")
print("logged in:", who_is(laptop).owner_id)

put_in_cart(laptop, { "book" })
print("cart:", table.concat(who_is(laptop).data.cart, ", "))

local admin = become_admin(laptop)
assert(who_is(laptop) == nil)
print("admin:", who_is(admin).data.admin)

print("devices:", devices "bob")
assert(sessions:kill { app = "shop", token = phone })
print("phone out:", devices "bob")
assert(sessions:kill_all { app = "shop", owner_id = "bob" })
print("everywhere out:", devices "bob")
assert(who_is(admin) == nil)
sessions:close()
