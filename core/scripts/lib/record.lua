-- The parts of a record, by their places (docs/explanation/stored-format.md):
--   <9 of created><4 of check>[p|e<7 of its end>][i<7>][u<7>][s<7>][f<22>]"<owner>"…{<data>}
-- What a rotation leaves behind begins like one:
--   <9 of created><4 of check>[e<7 of its end>]r<22 of family>…

-- The end that is written in a record, in ms since 1970; 0: none is.
local function stamped_end(record)
  return record:byte(14) == 101 and #record > 21 and number_at(record, 15, 21) or 0
end

-- Is it marked as one that never ends?
local function lasts(record)
  return record:byte(14) == 112
end

-- The record with another mark in the place of its end.
local function with_end(record, mark)
  local c = record:byte(14)
  return record:sub(1, 13) .. mark .. record:sub(c == 101 and 22 or c == 112 and 15 or 14)
end

local function time_mark(letter, ms)
  return string.char(letter, digit_at(2^36, ms), digit_at(2^30, ms), digit_at(2^24, ms), digit_at(2^18, ms),
    digit_at(2^12, ms), digit_at(64, ms), digit_at(1, ms))
end

-- Where a record says when it was last used, or would.
local function seen_place(record)
  local c = record:byte(14)
  local at = c == 101 and 22 or c == 112 and 15 or 14
  if record:byte(at) == 105 then at = at + 8 end -- i
  if record:byte(at) == 117 then at = at + 8 end -- u
  return at, record:byte(at) == 115
end

-- When a record was last used, in ms since 1970; nil: it says nothing.
local function seen_at(record)
  local at, seen = seen_place(record)
  return seen and number_at(record, at + 1, at + 7) or nil
end

-- The record, used now.
local function with_seen(record, ms)
  local at, seen = seen_place(record)
  return record:sub(1, at - 1) .. time_mark(115, ms) .. record:sub(seen and at + 8 or at)
end

-- The field of the first token of a record's rotations, its family; nil: it has not been rotated. And where
-- it stands, or would.
local function family_of(record)
  local at, seen = seen_place(record)
  if seen then at = at + 8 end
  return record:byte(at) == 102 and record:sub(at + 1, at + 22) or nil, at
end

-- The family of what a rotation left behind, a forward or a tombstone; nil: it is none of these.
local function family_left(text)
  local at = text:byte(14) == 101 and 22 or 14
  return text:byte(at) == 114 and text:sub(at + 1, at + 22) or nil
end
