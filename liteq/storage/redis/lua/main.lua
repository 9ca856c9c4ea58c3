-- Run some verbs. ARGV: how, the batch's token, how many, and each verb's name and arguments.
--
-- run: for good. try: as the beginning of a batch that goes on: all are undone again, the reply is the last
-- one's, and nobody else may change the queue meanwhile. commit: the batch for good. abort: forget it.

local BATCH_LASTS = 5000
local how, token = text(), text()
local holder = call('GET', K.batch)
local is_own = holder == token

-- Whether the verbs have to wait for the batch of another: the writing ones, and all if there are new messages.
local function has_to_wait(name)
  return holder and not is_own and (write[name] or (absorb and call('EXISTS', K.inbox) == 1))
end

local function run(count)
  local replies = {}
  for i = 1, count do
    local name = text()
    if has_to_wait(name) then return redis.error_reply('LITEQ LOCKED') end
    replies[i] = (write[name] or read[name])()
    if type(replies[i]) == 'table' and replies[i].err then return replies[i] end
  end
  return replies
end

local function try(count)
  undo = {}
  local replies = run(count)
  take_back()
  if replies.err then return replies end
  call('SET', K.batch, token, 'PX', BATCH_LASTS)
  return replies[#replies]
end

if how == 'abort' then
  if is_own then call('DEL', K.batch) end
  return 1
end
if how == 'commit' and not is_own then return redis.error_reply('LITEQ LOST') end
-- A server whose memory is used up refuses what may use more of it, unless the script has changed something
-- already. So what ends tasks, or only looks, begins with a deletion of nothing.
if makes_room or read[ARGV[4]] then call('HDEL', K.numbers, '') end
-- Numbers of messages go on from the time, so that none comes again though a server forgets what it has given:
-- somebody may still be at a message of that number. A batch gets the same ones at each trial.
if absorb and call('HEXISTS', K.numbers, 'message') == 0 then
  local now = call('TIME')
  call('HSET', K.numbers, 'message', digits(now[1] * 1000000 + now[2]))
end
if not holder and absorb and not absorb() then return redis.error_reply('LITEQ MORE') end
if how == 'try' then
  if holder and not is_own then return redis.error_reply('LITEQ LOCKED') end
  return try(number())
end

local replies = run(number())
if how == 'commit' then call('DEL', K.batch) end
if changed then call('HINCRBY', K.numbers, 'version', 1) end
if new_work then call('PUBLISH', K.work, '') end
if ended then call('PUBLISH', K.ended, '') end
return replies
