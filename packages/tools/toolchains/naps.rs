// Sleeps as Rust programs do. The standard library ends the program unless each sleep gets exactly one
// event.
use std::thread::sleep;
use std::time::{Duration, Instant};

fn main() {
    for milliseconds in [0, 1, 20, 3_600_000] {
        let time = Duration::from_millis(milliseconds);
        let begin = Instant::now();
        sleep(time);
        let early = begin.elapsed() < time;
        println!("{} ms: {}", milliseconds, if early { "too early" } else { "slept" });
    }
}
