//! Reading ahead: one thread unpacks while another checks and keeps what was unpacked before.

use std::io::{self, Cursor, Read};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Blocks that wait to be read at most.
const BLOCKS: usize = 4;

/// What a reader has, read by a thread of its own some blocks before it is asked for.
///
/// The thread ends with the reader, at its first failure, or soon after nobody wants more.
#[derive(Debug)]
pub(super) struct Ahead {
    blocks: Receiver<io::Result<Vec<u8>>>,
    current: Cursor<Vec<u8>>,
}

impl Ahead {
    /// Reads from `reader`, so many bytes at a time.
    pub(super) fn of(reader: impl Read + Send + 'static, block: usize) -> io::Result<Self> {
        let (sender, blocks) = sync_channel(BLOCKS);
        thread::Builder::new()
            .name("unpacking".to_owned())
            .spawn(move || hand_over(reader, block, &sender))?;
        Ok(Ahead { blocks, current: Cursor::new(Vec::new()) })
    }
}

fn hand_over(mut reader: impl Read, size: usize, sender: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut block = Vec::with_capacity(size);
        let (read, last) = match reader.by_ref().take(size as u64).read_to_end(&mut block) {
            Ok(count) => (None, count < size),
            Err(error) => (Some(error), true),
        };
        // What came before a failure is handed over before it.
        if !block.is_empty() && sender.send(Ok(block)).is_err() {
            return;
        }
        if let Some(error) = read {
            // Nobody may be there to hear it.
            let _ = sender.send(Err(error));
        }
        if last {
            return;
        }
    }
}

impl Read for Ahead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.current.position() == self.current.get_ref().len() as u64 {
            // Who hands over has ended where there is no more.
            let Ok(block) = self.blocks.recv() else { return Ok(0) };
            self.current = Cursor::new(block?);
        }
        self.current.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives `left` bytes, then fails.
    struct Broken {
        left: usize,
    }

    impl Read for Broken {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.left == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "torn"));
            }
            let count = self.left.min(buffer.len());
            buffer[..count].fill(7);
            self.left -= count;
            Ok(count)
        }
    }

    /// Never ends; tells when it is given up.
    struct Endless(#[expect(dead_code, reason = "it is dropped with the reader")] SyncSender<()>);
    impl Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len())
        }
    }

    #[test]
    fn every_byte_comes_in_order() {
        let bytes: Vec<u8> = (0..100_003u32).map(|place| (place % 251) as u8).collect();
        for block in [1_000, 100_003, 200_000] {
            let mut read = Vec::new();
            let mut ahead = Ahead::of(Cursor::new(bytes.clone()), block).unwrap();
            ahead.read_to_end(&mut read).unwrap();
            assert_eq!(read, bytes);
            assert_eq!(ahead.read(&mut [0]).unwrap(), 0);
        }
        assert_eq!(Ahead::of(io::empty(), 8).unwrap().read(&mut [0; 4]).unwrap(), 0);
    }

    #[test]
    fn a_failure_comes_after_what_was_read_before_it() {
        let mut ahead = Ahead::of(Broken { left: 25 }, 10).unwrap();
        let mut read = Vec::new();
        let error = ahead.read_to_end(&mut read).unwrap_err();
        assert_eq!((read, error.to_string()), (vec![7; 25], "torn".to_owned()));
        assert_eq!(ahead.read(&mut [0]).unwrap(), 0);
    }

    #[test]
    fn who_stops_reading_stops_the_thread() {
        let (sender, dropped) = sync_channel::<()>(0);
        let mut ahead = Ahead::of(Endless(sender), 16).unwrap();
        ahead.read_exact(&mut [0; 40]).unwrap();
        drop(ahead);
        assert!(dropped.recv().is_err());
    }
}
