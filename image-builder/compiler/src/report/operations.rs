//! The kernel's calls, and what is asked at each.

use cloison_abi::CallNumber;

use crate::table::Table;

/// Every call with its number, its class, and who does it to whom. A call without a class is about its caller alone, and
/// nobody is asked.
#[must_use]
pub fn operations_table() -> String {
    let mut table = Table::new([">number", "call", "class", "asked about"]);
    for (number, call) in CallNumber::ALL {
        let (class, ends) =
            call.class().map_or(("-", "nobody: the caller alone"), |class| (class.name(), class.ends()));
        table.row([number.to_string(), format!("{call:?}"), class.to_owned(), ends.to_owned()]);
    }
    let asked = CallNumber::ALL.iter().filter(|(_, call)| call.class().is_some()).count();
    let (all, alone) = (CallNumber::ALL.len(), CallNumber::ALL.len() - asked);
    let coverage = format!("{all} calls: {asked} are asked about, {alone} are about their caller alone\n");
    table.render("Calls") + &coverage
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_line() {
        let text = operations_table();
        for (_, call) in CallNumber::ALL {
            let lines =
                text.lines().filter(|line| line.split_whitespace().nth(1) == Some(&format!("{call:?}")));
            assert_eq!(lines.count(), 1, "{call:?}");
        }
        let last = text.lines().last().unwrap_or_default();
        let counts: Vec<usize> = last.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let alone = text.lines().filter(|line| line.contains("nobody: the caller alone")).count();
        assert_eq!(counts, [CallNumber::ALL.len(), CallNumber::ALL.len() - alone, alone], "{last}");
        assert!(alone > 0 && alone < CallNumber::ALL.len(), "{last}");
        let line = |call: &str| text.lines().find(|line| line.contains(call)).unwrap_or_default().to_owned();
        assert!(line("RegionGrant").contains("share"), "{text}");
        assert!(line("ReplyWait").contains("nobody"), "{text}");
    }
}
