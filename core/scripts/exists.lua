-- Is there a live record?
-- KEYS  the owner's hash
-- ARGV  echo, field
-- Gives {echo, 1} or {echo, 0}.
-- include: clock, digits, split, record, hash

return {ARGV[1], find(ARGV[2], now_ms()) and 1 or 0}
