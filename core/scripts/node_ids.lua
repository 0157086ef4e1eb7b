-- The ids of an owner, in the Node package's form.
-- KEYS  the owner's set
-- Gives {the set's name, {its members}}.

return {KEYS[1], redis.call('SMEMBERS', KEYS[1])}
