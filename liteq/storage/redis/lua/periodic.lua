-- Periodic tasks. slot: name → the last that fired; timetable: name → entry.

local DAY = 86400000000

-- take_slot: unless it, or a later one by no more than a day, has fired.
function write.take_slot()
  local name, slot = text(), number()
  local known = tonumber(call('HGET', K.slot, name) or nil)
  if known and slot <= known and known <= slot + DAY then return 0 end
  hset(K.slot, name, digits(slot))
  return 1
end

-- know_slot: notes a slot if none is noted; what is noted now.
function write.know_slot()
  local name, slot = text(), text()
  local known = call('HGET', K.slot, name)
  if known then return known end
  hset(K.slot, name, slot)
  return slot
end

-- forget_slot: lets none be noted.
function write.forget_slot()
  hdel(K.slot, text())
  return 1
end

-- replace_entry: if the entry of that name is the old one; either may be none.
function write.replace_entry()
  local name = text()
  local has_old, old, has_new, new = text(), text(), text(), text()
  local known = call('HGET', K.timetable, name)
  if (known and '1' or '0') ~= has_old or (known and known ~= old) then return 0 end
  if has_new == '1' then hset(K.timetable, name, new) else hdel(K.timetable, name) end
  next_number('timetable')
  new_work = true
  return 1
end

-- entry: that of a name; none if there is none.
function read.entry() return call('HGET', K.timetable, text()) end

-- entries: names and entries, in turns.
function read.entries() return call('HGETALL', K.timetable) end

-- timetable_version: grows with each change of an entry.
function read.timetable_version() return call('HGET', K.numbers, 'timetable') or '0' end
