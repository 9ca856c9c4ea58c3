-- Run some verbs. ARGV: how, the batch's token, how many, and each verb's name and arguments.
--
-- run: for good. try: as the beginning of a batch that goes on: all are undone again, the reply is the last
-- one's, and nobody else may change the queue meanwhile. commit: the batch for good. abort: forget it.

local LOCK_TTL = 5000
local how, token = text(), text()
local holder = call('GET', K.batch)

local function run(count)
  local replies = {}
  for i = 1, count do
    local name = text()
    if write[name] and holder and holder ~= token then return redis.error_reply('LITEQ LOCKED') end
    replies[i] = (write[name] or read[name])()
    if type(replies[i]) == 'table' and replies[i].err then return replies[i] end
  end
  return replies
end

if how == 'abort' then
  if holder == token then call('DEL', K.batch) end
  return 1
end
if how == 'try' then
  if holder and holder ~= token then return redis.error_reply('LITEQ LOCKED') end
  undo = {}
  local replies = run(number())
  take_back()
  if replies.err then return replies end
  call('SET', K.batch, token, 'PX', LOCK_TTL)
  return replies[#replies]
end
if how == 'commit' and holder ~= token then return redis.error_reply('LITEQ LOST') end

local replies = run(number())
if how == 'commit' then call('DEL', K.batch) end
if changed then call('HINCRBY', K.numbers, 'version', 1) end
if new_work then call('PUBLISH', K.work, '') end
if ended then call('PUBLISH', K.ended, '') end
return replies
