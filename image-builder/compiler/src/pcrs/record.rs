//! What firmware has left in registers that only the machine determines: read once of a machine, kept, and shown for
//! machines that are the same.
//!
//! A file has the records of one platform, each under a line that says which machine it is of; their values are indented.

use cloison_measure::Bank;

/// The values of some registers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    values: Vec<(u32, Bank, String)>,
}

/// What a file begins with.
const HEAD: &str = "# What firmware leaves in registers that only the machine determines. `cargo image platform-record` writes it.\n";

impl Record {
    /// Of these values, in hexadecimal digits.
    #[must_use]
    pub fn new(values: impl IntoIterator<Item = (u32, Bank, String)>) -> Self {
        Self { values: values.into_iter().collect() }
    }

    /// The record of a machine in a file, if it has one. A line that is none is passed over.
    #[must_use]
    pub fn find(file: &str, machine: &str) -> Option<Self> {
        let mut lines = file.lines().skip_while(|line| *line != machine);
        lines.next()?;
        let values = lines.take_while(|line| line.starts_with(' ')).filter_map(value).collect();
        Some(Self { values })
    }

    /// The file with this record, in place of an older one of the same machine.
    #[must_use]
    pub fn added(&self, file: &str, machine: &str) -> String {
        let mut kept = if file.is_empty() { HEAD.to_owned() } else { String::new() };
        let mut is_old = false;
        for line in file.lines() {
            if !line.starts_with(' ') {
                is_old = line == machine;
            }
            if !is_old {
                kept += &format!("{line}\n");
            }
        }
        let values = self.values.iter();
        let lines = values.map(|(pcr, bank, value)| format!("  {pcr} {} {value}\n", bank.name()));
        format!("{kept}{machine}\n{}", lines.collect::<String>())
    }

    /// The value of a register.
    #[must_use]
    pub fn value(&self, pcr: u32, bank: Bank) -> Option<&str> {
        let is_it = |(known, of, _): &&(u32, Bank, String)| (*known, *of) == (pcr, bank);
        self.values.iter().find(is_it).map(|(_, _, value)| value.as_str())
    }
}

/// A value: register, bank, and as many digits as the bank's digests have.
fn value(line: &str) -> Option<(u32, Bank, String)> {
    let mut words = line.split_whitespace();
    let (pcr, bank, value) = (words.next()?.parse().ok()?, words.next()?, words.next()?);
    let bank = Bank::ALL.into_iter().find(|known| known.name() == bank)?;
    let is_value = value.len() == 2 * bank.bytes() && value.bytes().all(|digit| digit.is_ascii_hexdigit());
    (is_value && words.next().is_none()).then(|| (pcr, bank, value.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(digit: &str) -> Record {
        Record::new(Bank::ALL.map(|bank| (0, bank, digit.repeat(2 * bank.bytes()))))
    }

    #[test]
    fn a_record_takes_the_place_of_the_same_machines() {
        let first = record("a").added("", "machine one");
        let both = record("b").added(&first, "machine two");
        let again = record("c").added(&both, "machine one");
        assert!(both.starts_with(HEAD) && again.starts_with(HEAD));
        assert_eq!(Record::find(&both, "machine one"), Some(record("a")));
        assert_eq!(Record::find(&again, "machine one"), Some(record("c")));
        assert_eq!(Record::find(&again, "machine two"), Some(record("b")));
        assert_eq!(again.matches("machine one").count(), 1);
        assert_eq!(Record::find(&again, "machine"), None);
        assert_eq!(record("c").value(0, Bank::Sha1), Some("c".repeat(40).as_str()));
        assert_eq!(record("c").value(1, Bank::Sha1), None);
    }

    #[test]
    fn what_is_no_value_is_passed_over() {
        let digits = "0".repeat(40);
        for line in [
            format!("x sha1 {digits}"),
            format!("0 sha2 {digits}"),
            format!("0 sha256 {digits}"),
            format!("0 sha1 {digits} more"),
            format!("0 sha1 {}", "g".repeat(40)),
            "0 sha1".to_owned(),
        ] {
            let read = Record::find(&format!("machine\n  {line}\n"), "machine");
            assert_eq!(read, Some(Record::default()), "{line}");
        }
    }
}
