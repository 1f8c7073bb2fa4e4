# Waits as Ruby programs do: standard input and output are the two ends of a pipe. Returns what it
# found.
found = []
[0, 0.001, 0.02, 3600].each do |seconds|
  start = Process.clock_gettime(Process::CLOCK_MONOTONIC)
  sleep seconds
  passed = Process.clock_gettime(Process::CLOCK_MONOTONIC) - start
  found << "#{seconds} s: #{passed < seconds ? 'too early' : 'slept'}"
end

reader = $stdin
writer = $stdout
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
