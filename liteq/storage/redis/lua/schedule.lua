-- What is due later.

function read.next_due()
  local first = call('ZRANGE', K.schedule, 0, 0, 'WITHSCORES')
  return first[2] and digits(tonumber(first[2])) or false
end
