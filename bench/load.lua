-- A wrk script: posts the files listed after --, one after another, and prints a summary as JSON.

local threads = {}
local requests = {}
local at = 0
statuses = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  for _, path in ipairs(args) do
    local file = assert(io.open(path, "rb"))
    local body = file:read("*a")
    file:close()
    local kind = path:match("%.png$") and "image/png" or "image/jpeg"
    table.insert(requests, wrk.format("POST", "/", { ["content-type"] = kind }, body))
  end
end

function request()
  at = at % #requests + 1
  return requests[at]
end

function response(status)
  local key = tostring(status)
  statuses[key] = (statuses[key] or 0) + 1
end

function done(summary, latency)
  local counts = {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("statuses")) do
      counts[status] = (counts[status] or 0) + count
    end
  end
  local responses = {}
  for status, count in pairs(counts) do
    table.insert(responses, string.format('"%s": %d', status, count))
  end
  local e = summary.errors
  io.write(string.format(
    '{"seconds": %f, "responses": {%s}, "p50": %f, "p99": %f, "errors": %d}\n',
    summary.duration / 1e6, table.concat(responses, ", "),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.connect + e.read + e.write + e.timeout))
end
