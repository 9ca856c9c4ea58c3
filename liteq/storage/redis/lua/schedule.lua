-- What is due later.

-- next_due: when the earliest scheduled message is due; none if there is none.
function read.next_due()
  local first = call('ZRANGE', K.schedule, 0, 0, 'WITHSCORES')
  return first[2] and digits(tonumber(first[2])) or false
end
