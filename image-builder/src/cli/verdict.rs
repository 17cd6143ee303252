//! What the bank says of a machine: the lines of `cloison-verify`.

use std::iter;

/// What is made of a machine's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The nonce that the machine has answered, as digits, if the answer was kept.
    pub(super) nonce: Option<String>,
    /// A line for each register, if the quote is good.
    pub(super) rows: Vec<String>,
    /// The name of the key, if it is one.
    pub(super) key: Option<String>,
    /// The last line, which says whether the machine is accepted, and why not.
    pub(super) text: String,
}

impl Verdict {
    /// Reads what `cloison-verify` has printed.
    pub(super) fn read(printed: &str) -> Self {
        let of = |start: &str| printed.lines().find_map(|line| line.strip_prefix(start)).map(str::to_owned);
        let rows = printed.lines().filter(|line| line.starts_with("PCR ")).map(str::to_owned).collect();
        let text = printed.lines().last().unwrap_or_default().to_owned();
        Self { nonce: of("nonce "), rows, key: of("key "), text }
    }

    /// All but the nonce, as the lines of a bank that knows nobody's key.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        let key = self.key.as_ref().map(|key| format!("key {key}, for which nobody vouches"));
        self.rows.iter().cloned().chain(key).chain(iter::once(self.text.clone()))
    }

    /// Whether the machine is accepted.
    pub(super) fn is_accepted(&self) -> bool {
        self.text.starts_with("accepted: ")
    }

    /// Whether the machine is refused, for a reason that begins like this.
    pub(super) fn is_refused_for(&self, reason: &str) -> bool {
        self.text.strip_prefix("refused: ").is_some_and(|why| why.starts_with(reason))
    }

    /// Whether a register is not as foretold, in the row with this name among others.
    pub(super) fn differs(&self, pcr: u32, name: &str) -> bool {
        let names = self.of(pcr).and_then(|said| said.strip_prefix("differs: "));
        names.is_some_and(|names| names.split(", ").any(|known| known == name))
    }

    /// Whether a register is as foretold.
    pub(super) fn is_as_foretold(&self, pcr: u32) -> bool {
        self.of(pcr).is_some_and(|said| said.starts_with("as foretold"))
    }

    /// What is said of a register.
    fn of(&self, pcr: u32) -> Option<&str> {
        let start = format!("PCR {pcr:>2} ");
        self.rows.iter().find_map(|row| row.strip_prefix(&start))
    }
}

#[cfg(test)]
mod tests {
    use cloison_verify::{KeyName, Refusal, Row, State, Verdict as Judged};

    use super::*;

    fn row(pcr: u32, state: State, names: &[&str]) -> Row {
        Row { pcr, state, names: names.iter().map(|name| (*name).to_owned()).collect() }
    }

    /// As `cloison-verify` prints it.
    fn printed(verdict: &Judged) -> String {
        let rows: String = verdict.rows.iter().map(|row| format!("{row}\n")).collect();
        let key = verdict.key.map_or(String::new(), |key| format!("key {key}\n"));
        format!("nonce 0011\n{rows}{key}{verdict}\n")
    }

    #[test]
    fn what_the_bank_prints_is_understood() {
        let bad = vec![row(13, State::Differs, &["header", "domain shopper"])];
        let rows = [vec![row(9, State::Foretold, &["kernel"])], bad.clone()].concat();
        let refusal = Some(Refusal::Registers(bad));
        let key = KeyName::of(b"key");
        let judged = Judged { rows, key: Some(key), policy: None, refusal };
        let read = Verdict::read(&printed(&judged));
        assert_eq!((read.nonce.as_deref(), read.key.as_deref()), (Some("0011"), Some(&*key.to_string())));
        assert!(read.is_as_foretold(9) && !read.is_as_foretold(13) && !read.is_as_foretold(12));
        assert!(
            read.differs(13, "domain shopper") && !read.differs(13, "shopper") && !read.differs(9, "kernel")
        );
        assert!(!read.is_accepted() && read.is_refused_for("PCR 13, rows header, domain shopper"));
        let lines: Vec<String> = read.lines().collect();
        assert_eq!(lines[..2], ["PCR  9 as foretold: kernel", "PCR 13 differs: header, domain shopper"]);
        assert_eq!(lines[2], format!("key {key}, for which nobody vouches"));
        assert_eq!(lines[3..], [judged.to_string()]);
    }

    #[test]
    fn each_refusal_that_a_scene_is_about_has_its_word() {
        let refused = |refusal| Verdict::read(&printed(&Judged::refused(refusal)));
        assert!(refused(Refusal::Nonce).is_refused_for("nonce: "));
        assert!(refused(Refusal::Key(KeyName::of(b"key"))).is_refused_for("key: its name is 000b"));
        assert!(refused(Refusal::None("why".into())).is_refused_for("the machine says: why"));
    }

    #[test]
    fn only_the_last_line_accepts() {
        let judged = Judged { rows: Vec::new(), key: None, policy: Some("00".into()), refusal: None };
        assert!(Verdict::read(&printed(&judged)).is_accepted());
        assert!(!Verdict::read("").is_accepted());
        assert!(
            !Verdict::read("accepted: 10 registers are as foretold\nrefused: nonce: another\n").is_accepted()
        );
    }
}
