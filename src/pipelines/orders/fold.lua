-- Applies one change and runs the completion check, atomically with the position it came from.
--
-- ARGV: namespace, data database, bookkeeping database, epoch, partition ("topic/number"), position expected at
-- least, offset, write legacy keys (1/0), operation, operands...
-- Answers:
--   {"epoch"}                  the bookkeeping belongs to another epoch: recover first
--   {"lost"}                   what the caller knows to be applied is not here: Redis lost it
--   {"wait"}                   this partition is rebuilt, another is not yet: ask again later
--   {"old", claim|""}          this offset was applied before; the claim it made, if any
--   {"ok", kind, order, products, wanted|"", claim|"", complete}
local ns, data, book = ARGV[1], ARGV[2], ARGV[3]
local epoch, partition = ARGV[4], ARGV[5]
local expected, offset = tonumber(ARGV[6]), tonumber(ARGV[7])
local legacy, operation = ARGV[8] == '1', ARGV[9]

local state_key, sent_key, line_key = ns .. ':state', ns .. ':sent', ns .. ':lines'
local position_key, meta_key = ns .. ':positions', ns .. ':meta'
local outbox_key = ns .. ':outbox:' .. partition

local current = nil
local function at(database)
  if current ~= database then
    redis.call('SELECT', database)
    current = database
  end
end
local function in_book(...)
  at(book)
  return redis.call(...)
end
local function in_data(...)
  at(data)
  return redis.call(...)
end

if in_book('GET', ns .. ':epoch') ~= epoch then
  return { 'epoch' }
end
local position = tonumber(in_book('HGET', position_key, partition) or '')
if not position or position < expected then
  return { 'lost' }
end
-- The keys people read were removed while the bookkeeping stayed.
if tonumber(in_book('HGET', meta_key, 'visible') or '0') > 0 and in_data('DBSIZE') == 0 then
  return { 'lost' }
end
if operation == 'probe' then
  return { 'ok', 'probe', '', 0, '', '', 0 }
end
if offset < position then
  return { 'old', in_book('HGET', outbox_key, ARGV[7]) or '' }
end
-- While Redis is rebuilt, every partition that was read before has a barrier where it had come to. Below the barriers
-- nothing is announced: what was complete there was announced then, and the two topics do not meet now as they did.
-- Nobody passes its barrier before all have reached theirs.
local barrier_key = ns .. ':barriers'
local barrier = tonumber(in_book('HGET', barrier_key, partition) or '')
if barrier and offset >= barrier then
  in_book('HDEL', barrier_key, partition)
  barrier = nil
end
local rebuilding = in_book('HLEN', barrier_key) > 0
if rebuilding and not barrier then
  return { 'wait' }
end
in_book('HSET', position_key, partition, string.format('%.0f', offset + 1))
if barrier and offset + 1 >= barrier then
  in_book('HDEL', barrier_key, partition)
end

local function counts_key(order)
  return ns .. ':products:' .. order
end
local function set_key(order)
  return 'ordered_products:' .. order
end
local function list_key(order)
  return 'order:' .. order .. ':products'
end

-- The state of an order: nil not met in this rebuild, 'l' only lines so far, 'p' present, 'g' deleted.
-- At the first meeting, what an earlier run left of its products is cleared, so that they are rebuilt exactly.
local function state_of(order)
  local state = in_book('HGET', state_key, order)
  if not state then
    state = 'l'
    in_book('HSET', state_key, order, state)
    in_data('DEL', set_key(order), list_key(order))
  end
  return state
end
local function show(order, product)
  if in_data('SADD', set_key(order), product) == 1 and legacy then
    in_data('RPUSH', list_key(order), product)
  end
end

local function add_line(line, order, product)
  in_book('HSET', line_key, line, cjson.encode({ order, product }))
  if order ~= '' then
    local state = state_of(order)
    if product ~= '' and in_book('HINCRBY', counts_key(order), product, 1) == 1 and state ~= 'g' then
      show(order, product)
    end
  end
end
local function remove_line(line)
  local stored = in_book('HGET', line_key, line)
  if not stored then
    return nil
  end
  local known = cjson.decode(stored)
  local order, product = known[1], known[2]
  in_book('HDEL', line_key, line)
  if order ~= '' and product ~= '' and in_book('HINCRBY', counts_key(order), product, -1) <= 0 then
    in_book('HDEL', counts_key(order), product)
    in_data('SREM', set_key(order), product)
    if legacy then
      in_data('LREM', list_key(order), 0, product)
    end
  end
  return order
end

local function put_order(order, fields, legacy_row)
  local was = state_of(order)
  in_book('HSET', state_key, order, 'p')
  local info = 'order_info:' .. order
  local existed = in_data('EXISTS', info)
  for i = 1, #fields, 2 do
    if fields[i + 1] == '' then
      in_data('HDEL', info, fields[i])
    else
      in_data('HSET', info, fields[i], fields[i + 1])
    end
  end
  in_book('HSETNX', meta_key, 'visible', 0)
  local exists = in_data('EXISTS', info)
  if was == 'p' then
    in_book('HINCRBY', meta_key, 'visible', exists - existed)
  else
    in_book('HINCRBY', meta_key, 'visible', exists)
  end
  if legacy then
    in_data('SET', 'order:' .. order, legacy_row)
  end
  if was == 'g' then
    for _, product in ipairs(in_book('HKEYS', counts_key(order))) do
      show(order, product)
    end
  end
end
local function delete_order(order)
  local was = in_book('HGET', state_key, order)
  local info = 'order_info:' .. order
  if was == 'p' then
    in_book('HINCRBY', meta_key, 'visible', -in_data('EXISTS', info))
  end
  in_book('HSET', state_key, order, 'g')
  in_data('DEL', info, set_key(order), 'order_status:' .. order, 'order:' .. order, list_key(order))
end

-- Claims the one message of an order: once in the set of the sent it never leaves it.
local function check(order)
  if order == '' or in_book('HGET', state_key, order) ~= 'p' then
    return nil, '', 0
  end
  local info = in_data('HMGET', 'order_info:' .. order, 'customer_id', 'payment_method_id', 'num_products')
  local wanted = tonumber(info[3] or '')
  local complete = wanted and in_data('SCARD', set_key(order)) >= wanted
  local claim = ''
  if in_book('SISMEMBER', sent_key, order) == 1 then
    -- Also restores the status after a rebuild; a later status set by others stays.
    in_data('SET', 'order_status:' .. order, 'checking', 'NX')
  elseif complete and not rebuilding then
    in_book('SADD', sent_key, order)
    in_data('SET', 'order_status:' .. order, 'checking')
    local message = { order, info[1] or '', info[2] or '', info[3] }
    for _, product in ipairs(in_data('SMEMBERS', set_key(order))) do
      message[#message + 1] = product
    end
    claim = cjson.encode(message)
    in_book('HSET', outbox_key, ARGV[7], claim)
  end
  return wanted, claim, complete and 1 or 0
end

local kind, order = operation, ''
if operation == 'order_put' then
  order = ARGV[10]
  put_order(order, { 'customer_id', ARGV[11], 'payment_method_id', ARGV[12], 'num_products', ARGV[13] }, ARGV[14])
elseif operation == 'order_delete' then
  order = ARGV[10]
  delete_order(order)
elseif operation == 'line_put' then
  local line, product = ARGV[10], ARGV[12]
  order = ARGV[11]
  local stored = in_book('HGET', line_key, line)
  if stored ~= cjson.encode({ order, product }) then
    remove_line(line)
    add_line(line, order, product)
  end
elseif operation == 'line_delete' then
  order = remove_line(ARGV[10]) or ''
elseif operation == 'orders_truncate' then
  local all = in_book('HGETALL', state_key)
  for i = 1, #all, 2 do
    if all[i + 1] == 'p' then
      delete_order(all[i])
    end
  end
elseif operation == 'lines_truncate' then
  for _, line in ipairs(in_book('HKEYS', line_key)) do
    remove_line(line)
  end
end

local wanted, claim, complete = check(order)
local products = 0
if order ~= '' then
  products = in_data('SCARD', set_key(order))
end
return { 'ok', kind, order, products, wanted and string.format('%.0f', wanted) or '', claim, complete }
