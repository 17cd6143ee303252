use std::{borrow::ToOwned, format, string::String, vec, vec::Vec};

use proptest::{collection::vec as many, prelude::*};

use super::*;

extern crate std;

/// A terminal of one line, as the console draws it, and words to complete.
#[derive(Default)]
struct Terminal {
    line: Vec<u8>,
    cursor: usize,
    lines: Vec<String>,
    bells: usize,
    words: Vec<&'static str>,
}

impl Terminal {
    fn shown(&self) -> String {
        let mut line = String::from_utf8(self.line.clone()).unwrap();
        line.insert(self.cursor, '|');
        line
    }

    fn sequence(&mut self, sequence: &[u8]) {
        match sequence {
            b"K" => self.line.truncate(self.cursor),
            [digits @ .., b'D'] => {
                let columns: usize = core::str::from_utf8(digits).unwrap().parse().unwrap();
                self.cursor = self.cursor.checked_sub(columns).expect("never left of the line");
            }
            other => panic!("the console does not know {other:?}"),
        }
    }
}

impl Around for Terminal {
    fn show(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some((byte, behind)) = rest.split_first() {
            rest = behind;
            match *byte {
                0x07 => self.bells += 1,
                b'\r' => self.cursor = 0,
                b'\n' => {
                    self.lines.push(String::from_utf8(core::mem::take(&mut self.line)).unwrap());
                    self.cursor = 0;
                }
                0x1b => {
                    let end = rest.iter().skip(1).position(u8::is_ascii_alphabetic).unwrap() + 2;
                    self.sequence(&rest[1..end]);
                    rest = &rest[end..];
                }
                text => {
                    self.line.truncate(self.line.len().max(self.cursor));
                    if self.cursor < self.line.len() {
                        self.line[self.cursor] = text;
                    } else {
                        self.line.push(text);
                    }
                    self.cursor += 1;
                }
            }
        }
    }

    fn complete(&mut self, text: &str) -> Vec<String> {
        let word = text.rsplit(' ').next().unwrap();
        let fitting = self.words.iter().filter(|candidate| candidate.starts_with(word));
        fitting.map(|word| (*word).to_owned()).collect()
    }
}

/// Types, and returns what has come of it, without what goes on.
fn type_at(editor: &mut Editor, terminal: &mut Terminal, typed: &[u8]) -> Vec<Typed> {
    let all = typed.iter().map(|byte| editor.press(*byte, terminal));
    all.filter(|typed| *typed != Typed::More).collect()
}

fn started(words: &[&'static str]) -> (Editor, Terminal) {
    let (editor, mut terminal) =
        (Editor::new("> "), Terminal { words: words.to_vec(), ..Default::default() });
    editor.draw(&mut terminal);
    (editor, terminal)
}

#[test]
fn keys_edit_the_line() {
    let cases: &[(&[u8], &str)] = &[
        (b"abc", "> abc|"),
        (b"abc\x7f\x08", "> a|"),
        (b"\x7fabc", "> abc|"),
        (b"abc\x1b[D\x1b[Dx", "> ax|bc"),
        (b"abc\x1bOD\x02\x06x", "> abx|c"),
        (b"abc\x01x\x05y", "> xabcy|"),
        (b"abc\x1b[Hx\x1b[Fy", "> xabcy|"),
        (b"abc\x1b[1~x\x1b[4~y\x1b[7~z\x1b[8~", "> zxabcy|"),
        (b"abc\x01\x1b[3~", "> |bc"),
        (b"abc\x01\x04", "> |bc"),
        (b"one two\x1b[D\x1b[D\x0b", "> one t|"),
        (b"one two\x15", "> |"),
        (b"one two \x17", "> one |"),
        (b"one\x17", "> |"),
        // With Ctrl, an arrow does what it does without.
        (b"abc\x1b[1;5Dx", "> abx|c"),
        // What is no key does nothing.
        (b"a\x00\xc3\xa4\x1b[5~\x1b[Zb", "> ab|"),
        (b"a\x1bb", "> ab|"),
        (b"a\x1b[\x7fb", "> b|"),
    ];
    for (typed, shown) in cases {
        let (mut editor, mut terminal) = started(&[]);
        assert_eq!(type_at(&mut editor, &mut terminal, typed), []);
        assert_eq!(terminal.shown(), *shown, "{:?}", String::from_utf8_lossy(typed));
    }
}

#[test]
fn enter_gives_the_line_and_control_c_gives_it_up() {
    let (mut editor, mut terminal) = started(&[]);
    let typed = type_at(&mut editor, &mut terminal, b"ps\rabc\x03x\x1b[D\r");
    assert_eq!(typed, [Typed::Line("ps".into()), Typed::GivenUp, Typed::Line("x".into())]);
    assert_eq!(terminal.lines, ["> ps", "abc^C", "> x"]);
    assert_eq!(type_at(&mut editor, &mut terminal, b"\x04"), [Typed::Closed]);
}

#[test]
fn history_is_gone_through_and_the_new_line_is_kept() {
    let (mut editor, mut terminal) = started(&[]);
    type_at(&mut editor, &mut terminal, b"one\rtwo\rtwo\r  \rnew");
    let mut after = |typed: &[u8]| {
        assert_eq!(type_at(&mut editor, &mut terminal, typed), []);
        terminal.shown()
    };
    assert_eq!(after(b"\x1b[A"), "> two|");
    assert_eq!(after(b"\x10"), "> one|", "a line that is repeated is kept once, an empty one not at all");
    assert_eq!(after(b"\x1b[A"), "> one|");
    assert_eq!(after(b"\x1b[B\x1b[B"), "> new|");
    assert_eq!(after(b"\x0e"), "> new|");
    assert_eq!(after(b"\x1b[A!"), "> two!|");
    assert_eq!(
        type_at(&mut editor, &mut terminal, b"\r\x1b[A\x1b[A\r"),
        [Typed::Line("two!".into()), Typed::Line("two".into())]
    );
}

#[test]
fn history_is_bounded() {
    let (mut editor, mut terminal) = started(&[]);
    for number in 0..100 {
        type_at(&mut editor, &mut terminal, format!("line {number}\r").as_bytes());
    }
    assert_eq!(editor.history.len(), HISTORY_LINES);
    type_at(&mut editor, &mut terminal, &b"\x10".repeat(100));
    assert_eq!(editor.line, format!("line {}", 100 - HISTORY_LINES));
}

#[test]
fn tab_completes_as_far_as_is_certain_and_then_lists() {
    let words = &["stpm", "stop", "start", "tpmdemo"];
    let cases: &[(&[u8], &str, usize)] = &[
        (b"t\t", "> tpmdemo |", 0),
        (b"kill st\t", "> kill st|", 1),
        (b"kill stp\tx", "> kill stpm x|", 0),
        (b"sta\t", "> start |", 0),
        (b"x\t", "> x|", 1),
        (b"kill \t", "> kill |", 1),
    ];
    for (typed, shown, bells) in cases {
        let (mut editor, mut terminal) = started(words);
        type_at(&mut editor, &mut terminal, typed);
        assert_eq!((terminal.shown().as_str(), terminal.bells), (*shown, *bells));
    }
    let (mut editor, mut terminal) = started(words);
    type_at(&mut editor, &mut terminal, b"s\t\t\t");
    assert_eq!((terminal.shown().as_str(), terminal.lines.len()), ("> st|", 2), "{:?}", terminal.lines);
    assert_eq!(terminal.lines[1], "stpm  stop  start");
    // Behind a blank all words are possible, and the one before is none of them.
    let (mut editor, mut terminal) = started(&["stpm"]);
    type_at(&mut editor, &mut terminal, b"l \t");
    assert_eq!((terminal.shown().as_str(), terminal.bells), ("> l stpm |", 0));
}

#[test]
fn what_does_not_fit_rings() {
    let (mut editor, mut terminal) = started(&[]);
    type_at(&mut editor, &mut terminal, &[b'x'; LINE_BYTES + 3]);
    assert_eq!((editor.line.len(), terminal.bells), (LINE_BYTES, 3));
}

proptest! {
    /// Whatever is typed, the terminal shows the prompt, the line and the cursor as the editor has them.
    #[test]
    fn the_terminal_shows_what_the_editor_has(
        typed in many(prop_oneof![
            Just(b"\x1b[A".to_vec()), Just(b"\x1b[B".to_vec()), Just(b"\x1b[D".to_vec()), Just(b"\x1b[3~".to_vec()),
            Just(vec![b'\t']), Just(vec![b'\r']), any::<u8>().prop_map(|byte| vec![byte]),
            (b' '..=b'~').prop_map(|byte| vec![byte]),
        ], 0..200)
    ) {
        let (mut editor, mut terminal) = started(&["alpha", "alps", "beta"]);
        for byte in typed.concat() {
            if editor.press(byte, &mut terminal) != Typed::More {
                editor.draw(&mut terminal);
            }
            let mut shown = format!("> {}", editor.line);
            shown.insert(2 + editor.cursor, '|');
            prop_assert_eq!(terminal.shown(), shown);
            prop_assert!(editor.line.len() <= LINE_BYTES && editor.history.len() <= HISTORY_LINES);
        }
    }
}
