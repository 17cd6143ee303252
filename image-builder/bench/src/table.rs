//! The table that a measurement ends with, as text.

use super::{
    Figures,
    rows::{Reference, Row, Target, Unit},
};

pub(super) struct Table {
    text: String,
    notes: String,
    /// What Linux was measured at; empty if it was not.
    linux: Figures,
}

impl Table {
    /// An empty table.
    pub(super) fn new(linux: Figures) -> Self {
        let mut table = Self { text: String::new(), notes: String::new(), linux };
        table.line(["what", "measured", "reference", "ratio", "target", ""]);
        table.line(["---", "---:", "---:", "---:", "---:", "---"]);
        table
    }

    /// Adds a row and what was measured for it.
    pub(super) fn add(&mut self, row: &Row, figure: Option<f64>) {
        let show = |number: Option<f64>| number.map(|number| row.unit.show(number)).unwrap_or_default();
        let reference = self.reference(row.reference);
        let ratio = figure.zip(reference).map(|(figure, reference)| format!("{:.2}", figure / reference));
        let measured = figure.map_or_else(|| "not measured".into(), |figure| row.unit.show(figure));
        let verdict = match figure.and_then(|figure| row.target.is_met(figure, reference)) {
            Some(true) => "met",
            Some(false) => "not met",
            None => "",
        };
        let target = row.target.show(row.unit);
        self.line([row.what, &measured, &show(reference), &ratio.unwrap_or_default(), &target, verdict]);
    }

    /// Adds a figure that no row speaks of.
    pub(super) fn add_other(&mut self, name: &str, figure: f64) {
        self.line([name, &figure.to_string(), "", "", "", ""]);
    }

    /// From now on these are what Linux was measured at.
    pub(super) fn compare_with(&mut self, linux: Figures) {
        self.linux = linux;
    }

    /// Adds a line that comes after the table.
    pub(super) fn note(&mut self, text: &str) {
        self.notes += &format!("{text}\n");
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        if self.notes.is_empty() { self.text } else { format!("{}\n{}", self.text, self.notes) }
    }

    fn reference(&self, reference: Reference) -> Option<f64> {
        match reference {
            Reference::None => None,
            Reference::Of(figure) => Some(figure),
            Reference::Linux(name) => self.linux.get(name).copied(),
        }
    }

    fn line(&mut self, [what, measured, reference, ratio, target, verdict]: [&str; 6]) {
        self.text += &format!(
            "| {what:<46} | {measured:>14} | {reference:>14} | {ratio:>5} | {target:>14} | {verdict:<7} |\n"
        );
    }
}

impl Target {
    /// `None`: there is none, or nothing to compare with.
    fn is_met(self, figure: f64, reference: Option<f64>) -> Option<bool> {
        match self {
            Self::None => None,
            Self::AtMost(most) => Some(figure <= most),
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMostTimes(times) => reference.map(|reference| figure <= times * reference),
            Self::AtLeastTimes(times) => reference.map(|reference| figure >= times * reference),
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Self::None => String::new(),
            Self::AtMost(most) => format!("≤ {}", unit.show(most)),
            Self::AtLeast(least) => format!("≥ {}", unit.show(least)),
            Self::AtMostTimes(times) => format!("≤ {times} × Linux"),
            Self::AtLeastTimes(times) => format!("≥ {times} × Linux"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::rows::Source, *};

    fn line(reference: Reference, target: Target, figure: Option<f64>) -> String {
        let row = Row { what: "x", source: Source::Named("x"), unit: Unit::Instructions, reference, target };
        let mut table = Table::new(Figures::from([("x".to_owned(), 200.0)]));
        table.add(&row, figure);
        table.finish().lines().last().unwrap().to_owned()
    }

    #[test]
    fn a_row_says_whether_its_target_is_met() {
        let (at_most, at_least) = (Target::AtMost(300.0), Target::AtLeast(300.0));
        for (target, figure, verdict) in [
            (at_most, Some(300.0), "| ≤ 300 | met |"),
            (at_most, Some(301.0), "| ≤ 300 | not met |"),
            (at_most, None, "| not measured |"),
            (at_least, Some(300.0), "| ≥ 300 | met |"),
            (at_least, Some(299.0), "| ≥ 300 | not met |"),
        ] {
            let line = line(Reference::None, target, figure);
            let words: Vec<_> = line.split_whitespace().collect();
            assert!(words.join(" ").contains(verdict), "{line}");
        }
    }

    #[test]
    fn a_row_is_compared_with_linux_if_that_was_measured() {
        let met = line(Reference::Linux("x"), Target::AtLeastTimes(1.2), Some(250.0));
        assert!(met.contains("200 |  1.25 |  ≥ 1.2 × Linux | met"), "{met}");
        let missed = line(Reference::Linux("x"), Target::AtLeastTimes(1.5), Some(250.0));
        assert!(missed.contains("|  1.25 |") && missed.contains("| not met"), "{missed}");
        for (times, verdict) in [(1.3, "| met"), (1.2, "| not met")] {
            let line = line(Reference::Linux("x"), Target::AtMostTimes(times), Some(250.0));
            assert!(line.contains(&format!("≤ {times} × Linux")) && line.contains(verdict), "{line}");
        }
        let alone = line(Reference::Linux("y"), Target::AtLeastTimes(1.0), Some(150.0));
        assert!(!alone.contains("met"), "{alone}");
    }
}
