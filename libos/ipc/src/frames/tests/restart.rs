//! A side that begins again.

use core::sync::atomic::Ordering;

use super::{Control, Counter, port, receive, receiver, send, sender};

#[test]
fn a_sender_whose_words_are_gone_goes_on_behind_what_was_read() {
    let (port, bell) = (port(256), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 1, &bell));
    for tag in 0..50 {
        send(&mut input, b"before", tag).unwrap();
        receive(&mut output).unwrap();
    }
    send(&mut input, b"lost", 50).unwrap();
    port.words[0][Control::Produced as usize].store(7, Ordering::Relaxed);
    let mut input = sender(&port, 0, &bell);
    assert_eq!(receive(&mut output), Ok(None));
    send(&mut input, b"after", 51).unwrap();
    assert_eq!(receive(&mut output), Ok(Some((b"after".to_vec(), 51))));
}

#[test]
fn a_receiver_whose_words_are_gone_goes_on_behind_what_was_sent() {
    let (port, bell) = (port(256), Counter::default());
    let (mut input, mut output) = (sender(&port, 0, &bell), receiver(&port, 1, &bell));
    for tag in 0..50 {
        send(&mut input, b"before", tag).unwrap();
        receive(&mut output).unwrap();
    }
    send(&mut input, b"lost", 50).unwrap();
    port.words[1][Control::Consumed as usize].store(7, Ordering::Relaxed);
    let mut output = receiver(&port, 1, &bell);
    assert_eq!(receive(&mut output), Ok(None));
    send(&mut input, b"after", 51).unwrap();
    assert_eq!(receive(&mut output), Ok(Some((b"after".to_vec(), 51))));
}

#[test]
fn who_begins_anew_gives_a_signal() {
    let (port, bell) = (port(256), Counter::default());
    sender(&port, 0, &bell).resync();
    assert_eq!(bell.get(), 1);
    receiver(&port, 0, &bell).resync();
    assert_eq!(bell.get(), 2);
}
