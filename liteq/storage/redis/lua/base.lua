-- What all verbs use: keys, arguments, and writes that can be undone.

local call = redis.call
local read, write = {}, {}  -- the verbs, by name: those that only look, and those that change something

-- All keys of a queue begin alike, with its hash tag.
local K = setmetatable({}, {__index = function(known, name)
  local key = KEYS[1] .. ':' .. name
  known[name] = key
  return key
end})

-- Arguments, one after the other.
local at = 0
local function text() at = at + 1; return ARGV[at] end
local function number() return tonumber(text()) end
local function optional() return tonumber(text()) end  -- nil for an empty one
local function texts()
  local list = {}
  for i = 1, number() do list[i] = text() end
  return list
end

-- Lua writes large numbers with an exponent; and the places of messages sort as texts.
local function digits(n) return string.format('%.0f', n) end
local function padded(n) return string.format('%016.0f', n) end

-- Writes. While `undo` is a list, each adds what would undo it.
local undo = nil
local changed, new_work, ended = false, false, false  -- and whom to wake
local makes_room = false  -- whether a program may go on although the server's memory is used up
local absorb = nil  -- see messages.lua; a program that has nothing to do with messages has none

local function note(...) undo[#undo + 1] = {...} end

local function hset(key, field, value)
  changed = true
  if undo then
    local old = call('HGET', key, field)
    if old then note('HSET', key, field, old) else note('HDEL', key, field) end
  end
  call('HSET', key, field, value)
end

local function hdel(key, field)
  changed = true
  if undo then
    local old = call('HGET', key, field)
    if old then note('HSET', key, field, old) end
  end
  return call('HDEL', key, field) == 1
end

local function hincrby(key, field, by)
  changed = true
  if undo then note('HINCRBY', key, field, -by) end
  return call('HINCRBY', key, field, by)
end

local function zadd(key, score, member)
  changed = true
  if undo then
    local old = call('ZSCORE', key, member)
    if old then note('ZADD', key, old, member) else note('ZREM', key, member) end
  end
  call('ZADD', key, score, member)
end

local function zrem(key, member)
  changed = true
  if undo then
    local old = call('ZSCORE', key, member)
    if old then note('ZADD', key, old, member) end
  end
  return call('ZREM', key, member) == 1
end

local function take_back()
  for i = #undo, 1, -1 do call(unpack(undo[i])) end
end

-- A number that is never given again.
local function next_number(name) return hincrby(K.numbers, name, 1) end

-- Let the numbers that are given from now on be larger than this one.
local function raise_number(name, by_now)
  if by_now > tonumber(call('HGET', K.numbers, name) or 0) then hset(K.numbers, name, digits(by_now)) end
end
