-- Posts BENCH_BODY, checks each answer, and prints one JSON object.
local threads = {}
function setup(thread) table.insert(threads, thread) end

local must_hold = os.getenv("BENCH_MUST_HOLD")
local expected = tonumber(os.getenv("BENCH_STATUS"))
local token = os.getenv("BENCH_TOKEN")
local file = io.open(os.getenv("BENCH_BODY"), "rb")
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
if token ~= "" then wrk.headers["Authorization"] = "Bearer " .. token end
wrk.body = file:read("*a")
file:close()

bad = 0
function response(status, _, body)
  if status ~= expected or not body:find(must_hold, 1, true) then bad = bad + 1 end
end

function done(summary, latency)
  local errors = summary.errors
  local all = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  for _, thread in ipairs(threads) do all = all + thread:get("bad") end
  io.write(string.format('{"reviews_per_second":%.1f,"p50_ms":%.3f,"p99_ms":%.3f,"bad":%d}\n',
    summary.requests / summary.duration * 1e6,
    latency:percentile(50) / 1000, latency:percentile(99) / 1000, all))
end
