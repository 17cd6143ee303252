//! Where a manifest can be damaged: its keys, its values and its names.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A key with its value, on a line of its own or in braces.
#[derive(Clone)]
pub struct Setting {
    pub key: Range<usize>,
    pub value: Range<usize>,
    pub is_in_braces: bool,
}

/// All settings of a manifest, those in braces among them.
pub fn settings(text: &str) -> Vec<Setting> {
    let mut all = Vec::new();
    of_table(text, DeTable::parse(text).unwrap().get_ref(), false, &mut all);
    all.sort_by_key(|setting| setting.key.start);
    all
}

fn of_table(text: &str, table: &DeTable<'_>, is_in_braces: bool, all: &mut Vec<Setting>) {
    for (key, value) in table {
        let is_written = text[..value.span().start].trim_end().ends_with('=');
        if is_written {
            let dotted = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
            let start = text[..key.span().start].trim_end_matches(dotted).len();
            all.push(Setting { key: start..key.span().end, value: value.span(), is_in_braces });
        }
        of_value(text, value, is_written, all);
    }
}

fn of_value(text: &str, value: &Spanned<DeValue<'_>>, is_written: bool, all: &mut Vec<Setting>) {
    match value.get_ref() {
        DeValue::Table(table) => of_table(text, table, is_written, all),
        DeValue::Array(items) => items.iter().for_each(|item| of_value(text, item, is_written, all)),
        _ => {}
    }
}

impl Setting {
    /// The text without it.
    pub fn removed(&self, text: &str) -> String {
        let mut part = self.key.start..self.value.end;
        // One of its two commas goes as well.
        let rest = &text[part.end..];
        if self.is_in_braces && rest.starts_with(',') {
            part.end += rest.len() - rest[1..].trim_start().len();
        } else if self.is_in_braces {
            let before = text[..part.start].trim_end();
            part.start = before.strip_suffix(',').unwrap_or(before).len();
        }
        let mut text = text.to_owned();
        text.replace_range(part, "");
        text
    }

    /// The text with it twice.
    pub fn twice(&self, text: &str) -> String {
        let between = if self.is_in_braces { ", " } else { "\n" };
        let copy = format!("{between}{}", &text[self.key.start..self.value.end]);
        let mut text = text.to_owned();
        text.insert_str(self.value.end, &copy);
        text
    }
}

/// Tables with a head of their own: each from its head to the next one.
pub fn tables(text: &str) -> Vec<Range<usize>> {
    let mut at = 0;
    let mut starts = Vec::new();
    for line in text.split_inclusive('\n') {
        starts.extend(line.starts_with('[').then_some(at));
        at += line.len();
    }
    let ends = starts.iter().skip(1).copied().chain([text.len()]);
    starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect()
}

/// Words in quotes and in heads of tables that can be misspelled: names of domains, components, devices, rights.
pub fn names(text: &str) -> Vec<Range<usize>> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '-' || letter == '_';
    let is_number = |word: &str| word.chars().all(|letter| letter.is_ascii_digit() || letter == '-');
    let mut names = Vec::new();
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let is_head = line.starts_with('[');
        let mut quoted = false;
        let mut word = None;
        for (at, letter) in line.char_indices().filter(|_| !line.starts_with('#')) {
            quoted ^= letter == '"';
            match (is_part(letter) && (is_head || quoted), word) {
                (true, None) => word = Some(at),
                (false, Some(first)) => {
                    if !is_number(&line[first..at]) {
                        names.push(start + first..start + at);
                    }
                    word = None;
                }
                _ => {}
            }
        }
        start += line.len();
    }
    names.retain(|word| !is_free(text, word));
    names
}

/// Text that nothing else refers to.
fn is_free(text: &str, word: &Range<usize>) -> bool {
    let line = text[..word.start].rfind('\n').map_or(0, |newline| newline + 1);
    let before = &text[line..word.start];
    let key = before.rsplit_once(" = ").map_or("", |(key, _)| key.rsplit(['{', ' ']).next().unwrap_or(key));
    let named_for_itself =
        |head: &str| before.strip_prefix(head).is_some_and(|rest| rest.trim_matches('"').is_empty());
    ["[group.", "[forward.", "[policy."].into_iter().any(named_for_itself)
        || ["arguments", "cmdline", "mac", "why", "name", "title"].contains(&key)
}

/// A word with two letters swapped, or one more.
pub fn slip(word: &str) -> String {
    let mut letters: Vec<char> = word.chars().collect();
    let last = letters.len() - 1;
    match letters.len() {
        1 => letters.push('x'),
        _ if letters[last - 1] == letters[last] || letters.contains(&'.') => letters.insert(last, 'q'),
        _ => letters.swap(last - 1, last),
    }
    letters.into_iter().collect()
}
