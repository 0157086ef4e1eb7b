-- Turns over a hash from before an upgrade: the server ends its fields by itself from now on.
-- KEYS  the owner's hash
-- ARGV  echo
-- Gives {echo}.
-- include: clock, digits, split, record, hash, settle

sweep(now_ms(), 0)
return {ARGV[1]}
