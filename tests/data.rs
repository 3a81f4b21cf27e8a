//! Real data files: found, checked, fetched from mirrors that misbehave, and MNIST itself.

#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    reason = "these tests are about files and sockets, and their helpers may fail as tests do"
)]

mod data {
    mod archive;
    mod fetch;
    mod files;
    mod mirror;
    mod mnist;

    use std::io::Write;

    use byzlab::datasets::File;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use sha2::{Digest, Sha256};

    /// A file of a made-up data set with these unpacked bytes.
    fn file(name: &str, bytes: &[u8]) -> File {
        let digits = |byte: &u8| format!("{byte:02x}");
        let sha256: Vec<String> = Sha256::digest(bytes).iter().map(digits).collect();
        File {
            folder: "dots".into(),
            name: name.into(),
            bytes: bytes.len() as u64,
            sha256: sha256.concat(),
            packed: None,
            archive: None,
        }
    }

    /// Bytes that pack into about three quarters, so that a packed file is still long enough to
    /// be cut in two.
    fn noise(len: usize) -> Vec<u8> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 26) as u8
        };
        (0..len).map(|_| next()).collect()
    }

    fn gzip(bytes: &[u8], level: u32) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
}
