//! The desk, before the same domains.

use super::*;
use crate::Desk;

/// What is typed at a terminal comes in pieces, and what is answered is what a shell shows.
#[test]
fn a_desk_answers_lines_that_come_in_pieces() {
    let world = world(State::Defined, State::Running);
    let client = Client::new(&world);
    let mut desk = Desk::new();
    let mut told = |pieces: &[&str]| {
        pieces.iter().for_each(|piece| desk.hear(piece.as_bytes(), &client, |_| ()));
        let says = String::from_utf8(desk.says().to_vec()).unwrap();
        desk.said(3);
        assert_eq!(desk.says(), &says.as_bytes()[says.len().min(3)..]);
        desk.said(usize::MAX);
        says
    };
    let killed = "tpmdemo: killed, its memory is free\n\x04";
    assert_eq!(told(&["bm", "ic  --ki", "ll tpmdemo ", "\r\n"]), killed);
    let (_, shown) = type_at(&world, "--list");
    let list = format!("{}\n\x04", shown.join("\n"));
    assert_eq!(told(&["bmic --list\nbmic --list\n"]), [list.clone(), list].concat());
    let again = "bmic: tpmdemo is defined: it was not started; nothing was done\nbmic: exit status 1\n\x04";
    assert_eq!(told(&["bmic --kill tpmdemo\n"]), again);
    assert_eq!(told(&["bmic --kill tpmdemo"]), "");
    assert_eq!(told(&["\n"]), again);
    let usage = "bmic: no option is given; bmic --help lists them\nbmic: exit status 2\n\x04";
    assert_eq!(told(&["bmic\n"]), usage);
    let long = "bmic: a line has at most 120 bytes\nbmic: exit status 2\n\x04";
    assert_eq!(told(&["bmic --kill ", &"x".repeat(2000), "\nbmic --kill tpmdemo\n"]), [long, again].concat());
    // What is cut off of a line makes no other command of it.
    assert_eq!(told(&[&" ".repeat(105), "bmic --kill stpm2\n"]), long);
}

/// A terminal that sends back what it is sent gets no more answers by that.
#[test]
fn a_desk_does_not_talk_to_itself() {
    let world = world(State::Running, State::Defined);
    let client = Client::new(&world);
    for first in [
        "bmic --list",
        "bmic --help",
        "bmic --version",
        "bmic --kill nobody",
        "bmic",
        "bmicx",
        "ls",
        "\u{e9}",
    ] {
        let mut desk = Desk::new();
        desk.hear(first.as_bytes(), &client, |_| ());
        desk.hear(b"\n", &client, |_| ());
        for _ in 0..3 {
            let says = desk.says().to_vec();
            desk.said(says.len());
            desk.hear(&says, &client, |_| ());
        }
        assert_eq!(desk.says(), b"", "{first}");
    }
}

/// Who has the terminal does nothing else meanwhile.
#[test]
fn a_line_waits_for_ten_seconds_at_most() {
    let world = world(State::Running, State::Running);
    world.0.borrow_mut().looks_until_end = u32::MAX;
    let client = Client::new(&world);
    for (asked, waited) in [(0, 0), (9, 9), (10, 10), (11, 10), (u16::MAX, 10)] {
        let mut desk = Desk::new();
        desk.hear(format!("bmic --shutdown stpm {asked}\n").as_bytes(), &client, |_| ());
        let says = String::from_utf8(desk.says().to_vec()).unwrap();
        assert!(says.contains(&format!("has not ended within {waited} s, and goes on")), "{asked}: {says}");
    }
}
