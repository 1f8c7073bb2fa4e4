// Serves two connections of the listener at descriptor 3, one after the other: each line comes back in
// capital letters, until the peer has sent all.
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::os::wasi::io::FromRawFd;

fn main() -> std::io::Result<()> {
    let listener = unsafe { TcpListener::from_raw_fd(3) };
    for number in 1..=2 {
        let (stream, _) = listener.accept()?;
        let mut count = 0;
        for line in BufReader::new(&stream).lines() {
            writeln!(&stream, "{}", line?.to_uppercase())?;
            count += 1;
        }
        println!("connection {}: {} lines", number, count);
    }
    Ok(())
}
