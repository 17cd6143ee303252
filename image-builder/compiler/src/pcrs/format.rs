//! A prediction as text: for people, for programs, for keylime.

use cloison_measure::Bank;

use super::Prediction;
use crate::digest::hex;

impl Prediction {
    /// For people: a line for each register and bank.
    #[must_use]
    pub fn table(&self) -> String {
        let width = 2 * Bank::Sha256.bytes();
        let mut text = format!("PCR  bank    {:<width$}  rows\n", "value");
        for pcr in self.pcrs() {
            for bank in self.banks.iter().copied() {
                let value = hex(self.registers(bank).value(pcr));
                let rows = self.rows(pcr).join(", ");
                text += &format!("{pcr:>3}  {:<6}  {value:<width$}  {rows}\n", bank.name());
            }
        }
        for (pcr, what) in self.others {
            for (bank, value) in self.recorded(*pcr) {
                text += &format!("{pcr:>3}  {:<6}  {value:<width$}  {what}, recorded\n", bank.name());
            }
            if self.recorded(*pcr).next().is_some() {
                continue;
            }
            text += &format!("{pcr:>3}          {:<width$}  {what}\n", "known to the machine alone");
        }
        text
    }

    /// What was once read of a register.
    fn recorded(&self, pcr: u32) -> impl Iterator<Item = (Bank, &str)> {
        self.banks.iter().filter_map(move |bank| Some((*bank, self.record.value(pcr, *bank)?)))
    }

    /// For programs: the registers of each bank, and what goes into them.
    #[must_use]
    pub fn json(&self) -> String {
        let banks: Vec<String> = self.banks.iter().map(|bank| self.json_bank(*bank)).collect();
        let events = self.events.iter().map(|event| {
            // A name has neither quotation marks nor backslashes.
            let digest = |bank: &Bank| format!("\"{}\": \"{}\"", bank.name(), hex(event.digests.get(*bank)));
            let digests: Vec<String> = self.banks.iter().map(digest).collect();
            format!("    {{\"pcr\": {}, \"name\": \"{}\", {}}}", event.pcr, event.name, digests.join(", "))
        });
        let events: Vec<String> = events.collect();
        let recorded: Vec<String> = self.banks.iter().map(|bank| self.json_record(*bank)).collect();
        format!(
            "{{\n  \"banks\": {{\n{}\n  }},\n  \"recorded\": {{\n{}\n  }},\n  \"events\": [\n{}\n  ]\n}}\n",
            banks.join(",\n"),
            recorded.join(",\n"),
            events.join(",\n")
        )
    }

    fn json_bank(&self, bank: Bank) -> String {
        let registers = self.registers(bank);
        let values = self.pcrs().into_iter();
        let values = values.map(|pcr| format!("      \"{pcr}\": \"{}\"", hex(registers.value(pcr))));
        let values: Vec<String> = values.collect();
        format!("    \"{}\": {{\n{}\n    }}", bank.name(), values.join(",\n"))
    }

    fn json_record(&self, bank: Bank) -> String {
        let values = self.others.iter().filter_map(|(pcr, _)| Some((pcr, self.record.value(*pcr, bank)?)));
        let values: Vec<String> = values.map(|(pcr, value)| format!("\"{pcr}\": \"{value}\"")).collect();
        format!("    \"{}\": {{{}}}", bank.name(), values.join(", "))
    }

    /// For keylime: its `tpm_policy`, in which a register may have the value of either bank.
    #[must_use]
    pub fn keylime(&self) -> String {
        let lines = self.pcrs().into_iter().map(|pcr| {
            let value = |bank: &Bank| format!("\"{}\"", hex(self.registers(*bank).value(pcr)));
            let values: Vec<String> = self.banks.iter().map(value).collect();
            format!("  \"{pcr}\": [{}]", values.join(", "))
        });
        let recorded = self.others.iter().filter_map(|(pcr, _)| {
            let values: Vec<_> = self.recorded(*pcr).map(|(_, value)| format!("\"{value}\"")).collect();
            (!values.is_empty()).then(|| format!("  \"{pcr}\": [{}]", values.join(", ")))
        });
        let lines: Vec<String> = lines.chain(recorded).collect();
        format!("{{\n{}\n}}\n", lines.join(",\n"))
    }
}
