# Waits as Ruby programs do: descriptor 3 is a pipe to read from, 4 one to write to. Returns what it
# found.
found = []
[0, 0.001, 0.02, 3600].each do |seconds|
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  sleep seconds
  passed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  found << "#{seconds} s: #{passed < seconds ? 'too early' : 'slept'}"
end

reader = IO.for_fd(3, "r", autoclose: false)
writer = IO.for_fd(4, "w", autoclose: false)
writer.sync = true
readable, = IO.select([reader], nil, nil, 0.05)
found << "an empty pipe: #{readable.inspect}"
_, writable, = IO.select([reader], [writer], nil, 0.05)
found << "its other end: #{writable == [writer]}"
writer.write("hello\n")
readable, = IO.select([reader], nil, nil, 60)
found << "with a line: #{readable == [reader]}, #{reader.gets.chomp}"
readable, = IO.select([reader], nil, nil, 3600)
found << "an hour later: #{readable.inspect}"
found.join("\n")
