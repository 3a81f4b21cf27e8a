//! Peers that speak no gRPC, or nothing at all.

use std::time::{Duration, Instant};

use super::frames::{PREFACE, SETTINGS, Socket, frame};
use super::lab::{Lab, until};

/// Bytes with no sense in them, always the same ones.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn noise_is_shown_out_and_counted() {
    // Who has not introduced itself after half of the patience is shown out.
    let mut lab = Lab::start(3, 3, 8.0);
    let preface = |rest: &[u8]| [PREFACE, rest].concat();
    let settings = frame(SETTINGS, 0, 0, &[]);
    let noises = [
        noise(1),
        noise(100_000),
        vec![0; 4096],
        b"GET / HTTP/1.1\r\nHost: coordinator\r\nUpgrade: h2c\r\n\r\n".to_vec(),
        b"POST /byzlab.v1.Federation/Attend HTTP/1.1\r\nContent-Length: 5000000000\r\n\r\n"
            .to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec(),
        preface(&[]),
        preface(&noise(20_000)),
        preface(&[settings.clone(), noise(20_000)].concat()),
        // Frames of a wrong size, on streams that are not open, longer than is allowed.
        preface(&[settings.clone(), frame(0, 0, 7, &[1; 100])].concat()),
        preface(&[settings.clone(), frame(SETTINGS, 0, 0, &[1; 7])].concat()),
        preface(&[settings.clone(), frame(1, 4, 1, &noise(3000))].concat()),
        preface(&[settings.clone(), frame(9, 0, 1, &[0x82; 10_000])].concat()),
        preface(&[settings, vec![0xff; 9]].concat()),
    ];
    let mut sockets = Vec::new();
    for noise in &noises {
        let mut socket = Socket::connect(lab.address);
        socket.send(noise);
        sockets.push(socket);
    }
    lab.worker(0);
    lab.worker(1);
    let began = Instant::now();
    for (index, socket) in sockets.iter_mut().enumerate() {
        assert!(socket.closed(Duration::from_secs(20)), "noise {index} may stay");
    }
    assert!(began.elapsed() < Duration::from_secs(7), "{:?}", began.elapsed());
    lab.worker(2);
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1, 2]);
    assert_eq!(outcome.strangers(), noises.len() as u64);
}

#[test]
fn a_crowd_that_says_nothing_keeps_no_worker_out() {
    let mut lab = Lab::start(3, 3, 30.0);
    let mut crowd: Vec<Socket> = (0..300).map(|_| Socket::connect(lab.address)).collect();
    // Those who came first have made room for the last ones.
    for early in &mut crowd[..40] {
        assert!(early.closed(Duration::from_secs(20)));
    }
    let began = Instant::now();
    for node in 0..3 {
        lab.worker(node);
    }
    let outcome = lab.finish();
    assert!(began.elapsed() < Duration::from_secs(9), "the workers waited for the crowd to leave");
    outcome.took_all_of(&[0, 1, 2]);
    assert!(outcome.strangers() >= 44, "{}", outcome.strangers());
}

#[cfg(unix)]
#[test]
fn a_coordinator_without_files_to_open_shows_strangers_out() {
    let mut lab = Lab::with_files(3, 3, 30.0, 64);
    until("the run has opened its files", || lab.has_begun().then_some(()));
    let _crowd: Vec<Socket> = (0..100).map(|_| Socket::connect(lab.address)).collect();
    for node in 0..3 {
        lab.worker(node);
    }
    let outcome = lab.finish();
    outcome.took_all_of(&[0, 1, 2]);
    assert!(outcome.manifest["strangers"]["elsewhere"].as_u64() > Some(0), "files were enough");
}
