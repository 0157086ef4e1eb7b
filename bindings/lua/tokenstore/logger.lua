-- Loggers: reading the option `logger`, and passing notes to it.
--
-- C writes notes as lines: a letter for the level, the text, a newline. None contains a token or a secret.

local logger = {}

local LEVELS = { i = "info", w = "warning" }

-- function(level, text) for the given logger - a function, or a table with functions `info` and `warning` -
-- or nil. `level` is where an invalid one is raised.
function logger.read(given, level)
  if given == nil or type(given) == "function" then
    return given
  elseif type(given) ~= "table" then
    error(("bad option 'logger' (function or table expected, got %s)"):format(type(given)), level + 1)
  end
  for _, name in ipairs { "info", "warning" } do
    if type(given[name]) ~= "function" then
      error(("bad option 'logger' (its '%s' must be a function, got %s)"):format(name,
        type(given[name])), level + 1)
    end
  end
  return function(name, text)
    given[name](text)
  end
end

-- Passes notes on, each with the `url` if there is one.
function logger.write(write, notes, url)
  for level, text in notes:gmatch "(%a)([^\n]*)\n" do
    if url and not text:find(url, 1, true) then
      text = url .. ": " .. text
    end
    write(LEVELS[level], text)
  end
end

return logger
