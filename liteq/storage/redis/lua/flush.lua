-- The end of nearly all.
-- Uses: lines history

local function drop(key)
  if call('EXISTS', key) == 0 then return end
  changed = true
  if undo then
    call('RENAME', key, key .. ':undone')
    note('RENAME', key .. ':undone', key)
  else
    call('UNLINK', key)
  end
end

-- flush: all but the consumers, the pauses, what is known of periodic tasks, and the numbers that fence
-- old claims.
function write.flush()
  for _, line in ipairs(all_lines()) do drop(line) end
  for _, name in ipairs({
    'parked', 'message', 'data', 'ids', 'chained', 'schedule', 'waiting', 'missing', 'ends', 'claim', 'start',
    'progress', 'dead', 'died', 'result', 'expiry', 'revocation', 'entry', 'last_entry', 'lock', 'locked',
    'limit', 'hit', 'counter', 'told', 'inbox',
  }) do drop(K[name]) end
  hset(K.numbers, 'first_entry', last_entry() + 1)
  ended, new_work = true, true
  return 1
end
