-- tests/vectors/operations.json: operations with scripted replies, no server. See README there. A batch's
-- safety and route, which a driver in Lua does not see, are tested only in C.

local harness = require "harness"
local core = require "tokenstore.core"
local vectors = require "vectors"
local equal, test = harness.equal, harness.test

local NOW = 1700000000000

-- ---- patterns ------------------------------------------------------------------------------------------

-- Matches the pattern against `text` at `at`; returns the end. `vars` gets the captures.
local function match(pattern, text, at, vars)
  if type(pattern) == "table" and pattern.join then
    for _, part in ipairs(pattern.join) do
      at = at and match(part, text, at, vars)
    end
    return at
  end
  local want
  if type(pattern) ~= "table" or pattern.hex or pattern["repeat"] then
    want = vectors.bytes(pattern)
  elseif pattern.var then
    want = assert(vars[pattern.var], pattern.var):sub(1, pattern.first or -1)
  elseif pattern.capture then
    want = text:sub(at, at + pattern.size - 1)
    vars[pattern.capture] = want
    return #want == pattern.size and at + pattern.size or nil
  elseif pattern.sha then
    return text:find("^" .. ("%x"):rep(40), at) and at + 40
  elseif pattern.script then
    return #text > 0 and #text + 1 or nil
  else
    error "unknown notation of a word"
  end
  return text:sub(at, at + #want - 1) == want and at + #want or nil
end

local function fits(pattern, text, vars)
  return match(pattern, text, 1, vars) == #text + 1
end

-- Expands a pattern with the known variables.
local function fill(pattern, vars)
  if type(pattern) ~= "table" or not (pattern.join or pattern.var) then
    return vectors.bytes(pattern)
  elseif pattern.var then
    return assert(vars[pattern.var], pattern.var):sub(1, pattern.first or -1)
  end
  local parts = {}
  for i, part in ipairs(pattern.join) do
    parts[i] = fill(part, vars)
  end
  return table.concat(parts)
end

-- ---- commands ------------------------------------------------------------------------------------------

-- The commands of a batch, each a list of words.
local function split(bytes)
  local commands, at = {}, 1
  while at <= #bytes do
    local count, next_at = bytes:match("^%*(%d+)\r\n()", at)
    local words = {}
    for i = 1, assert(tonumber(count), "not RESP") do
      local size, from = bytes:match("^%$(%d+)\r\n()", next_at)
      words[i] = bytes:sub(from, from + size - 1)
      next_at = from + size + 2
    end
    at = next_at
    commands[#commands + 1] = words
  end
  return commands
end

-- Members of a table have no order, and a Lua without integers writes 1.0 as 1. So data is compared by value:
-- the text of a record, or the pairs of an update from `first` to `last`.
local function same_data(want, got)
  local names, data = want:match '^("[^"]*")({.*})$'
  local same_names, same = got:match '^("[^"]*")({.*})$'
  return data and names == same_names and harness.same((core.decode(data)), (core.decode(same)))
end

local function same_pairs(want, got, first, last, vars)
  local values = {}
  for i = first, math.min(last, #got), 2 do
    values[got[i]] = got[i + 1]
  end
  for i = first, math.min(last, #want), 2 do
    local value = values[want[i]]
    if not value or not fits(want[i + 1], value, vars) then
      return false
    end
  end
  return #want == #got
end

local function check_command(case, want, got, vars)
  local pairs_from = #want + 1
  if case.call == "update_all" then
    pairs_from = 8
  elseif case.call:find "^update" and #want > 8 then
    pairs_from = #want % 2 == 0 and 9 or 12
  elseif case.call == "rotate" and #want > 15 then
    pairs_from = 16 + want[3] -- behind its keys
  end
  local changes_from = pairs_from == 12 and 12 + 2 * want[11] or pairs_from
  for i = 1, pairs_from - 1 do
    local word, found = want[i], got[i] or ""
    if not fits(word, found, vars) and not (type(word) == "string" and same_data(word, found)) then
      error(("word %d of %s is %q"):format(i, want[1], found))
    end
  end
  assert(same_pairs(want, got, pairs_from, changes_from - 1, vars), "other words than " .. #want)
  assert(same_pairs(want, got, changes_from, #want, vars), "other words than " .. #want)
end

-- ---- steps ---------------------------------------------------------------------------------------------

local function answer(run, step, vars)
  local lost = step.lost
  if step.replies then
    local trust, need, a = core.run_answer(run, fill(step.replies, vars))
    assert(trust, "the replies are not what is due")
    return need, a, trust
  elseif lost then
    return core.run_lost(run, lost.sent, lost.final, lost.why or "the connection was lost",
      lost.status or "connection")
  elseif step.deadline then
    return core.run_deadline(run, step.deadline.sent)
  end
  assert(step.awake, "unknown answer")
  return core.run_awake(run)
end

-- Runs the steps of a case; returns the final need and the results.
local function run_steps(case, run, vars, need, a)
  local trust
  for number, step in ipairs(case.steps) do
    if step.send then
      equal(need, "send", "step " .. number)
      local commands = split(a)
      equal(#commands, #step.send, "commands")
      for i, want in ipairs(step.send) do
        check_command(case, want, commands[i], vars)
      end
    else
      equal(need, "sleep", "step " .. number)
      assert(a * 1000 >= step.sleep[1] and a * 1000 <= step.sleep[2], a)
    end
    need, a, trust = answer(run, step, vars)
    equal(trust == "leave", step.leave or false, "leave")
  end
  return need, a
end

-- ---- results -------------------------------------------------------------------------------------------

local TEXTS = { "app", "type", "owner", "token", "id" }

local function check_token(want, got, vars)
  if want == core.null then
    return assert(not got, "found")
  end
  assert(got, "not found")
  for _, name in ipairs(TEXTS) do
    if want[name] == core.null then
      equal(got[name], nil, name)
    else
      assert(fits(want[name], got[name], vars), name)
    end
  end
  assert(math.abs(got.created_at - want.created_us / 1e6) < 1e-6, "created_at")
  if want.expires_ms == 0 then
    equal(got.expires_at, nil, "expires_at")
  else
    assert(math.abs(got.expires_at - want.expires_ms / 1e3) < 1e-6, "expires_at")
  end
  equal(got.data, want.data, "data")
end

local function check_result(want, got, vars)
  local kind, value = next(want)
  if kind == "token" then
    check_token(value, got, vars)
  elseif kind == "tokens" then
    equal(#got, #value, "tokens")
    for i = 1, #value do
      check_token(value[i], got[i], vars)
    end
  elseif kind == "replies" then
    equal(#got, #value, "replies")
    for i = 1, #value do
      harness.matches(type(got[i]) == "table" and got[i].message or got[i], value[i])
    end
  elseif kind == "bool" or kind == "count" then
    equal(got, value)
  else
    error("unknown result " .. kind)
  end
end

-- ---- cases ---------------------------------------------------------------------------------------------

local function make(case)
  local store, message, code = core.redis_tokens(vectors.arguments(case.options))
  if not store then
    return store, message, code
  elseif case.call == "execute" then
    local commands = {}
    for i, words in ipairs(case.args.commands) do
      commands[i] = {}
      for j, word in ipairs(words) do
        commands[i][j] = vectors.bytes(word)
      end
    end
    return core.pipeline(commands, { raise_errors = false })
  elseif case.call == "create_many" then
    local list = {}
    for i, args in ipairs(case.args.tokens) do
      list[i] = vectors.arguments(args)
    end
    return core.operations.RedisTokens.create_many(store, list)
  end
  return core.operations.RedisTokens[case.call](store, vectors.arguments(case.args))
end

local function check_failure(case, want, ...)
  harness.fails(want.status, want.message, ...)
  local token = case.args.token and vectors.bytes(case.args.token) or ""
  assert(#token < 8 or not select(2, ...):find(token, 1, true), "the message holds the token")
end

-- Lets the client of this target know that its server can end fields by itself ("1"), or cannot.
local function teach(target, can)
  local run = core.run(target)
  local store = assert(core.redis_tokens({}))
  local count = core.operations.RedisTokens.count(store, { app = "app", type = "type", owner = "bob" })
  local _, _, need, batch = core.run_start(run, assert(count))
  equal(need, "send")
  local echo = batch:match "\r\n%$5\r\n(....)[012]\r\n" .. can
  local _, done = core.run_answer(run, ("*2\r\n$5\r\n%s\r\n:0\r\n"):format(echo))
  equal(done, "done")
end

for _, case in ipairs(harness.sample(vectors.read("operations.json").cases, 3)) do
  test("operation: " .. case.name, function()
    if case.refused then
      return check_failure(case, case.refused, make(case))
    end
    local vars = {}
    local target = assert(core.target("redis://localhost", {}))
    if case.known then
      teach(target, assert(({ ends = "1", lacks = "0" })[case.known]))
    end
    local run = core.run(target, case.now or NOW)
    local need, result = run_steps(case, run, vars, select(3, core.run_start(run, assert(make(case)))))
    if case.error then
      equal(need, "failed", "end")
      return check_failure(case, case.error, core.run_error(run))
    end
    assert(need == "done" or (need == "noted" and core.run_notes(run) ~= ""), need)
    check_result(case.result, result, vars)
  end)
end
