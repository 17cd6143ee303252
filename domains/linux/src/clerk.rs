//! Who answers at the guest's second terminal: a line there is one of `bmic`, and BMI decides what this domain may have done.

use core::time::Duration;

use bmi_api::{Desk, manage};
use cloison_rt::{sys::Slot, time::sleep};

/// The way to BMI, and what is said at the terminal.
pub struct BmiDesk {
    bmi: manage::Client<Slot>,
    desk: Desk,
}

impl BmiDesk {
    /// BMI's desk, if the manifest gives this domain a gate there.
    pub fn find() -> Option<Self> {
        Some(Self { bmi: manage::Client::find("bmi").ok()?, desk: Desk::new() })
    }

    /// Another guest begins: it hears nothing of what the last one has asked.
    pub fn reset(&mut self) {
        self.desk = Desk::new();
    }

    /// Hears what the guest has written. It stands still until a whole line is carried out.
    pub fn hear(&mut self, text: &[u8]) {
        self.desk.hear(text, &self.bmi, |milliseconds| sleep(Duration::from_millis(milliseconds.into())));
    }

    /// What the guest has not taken yet.
    pub fn says(&self) -> &[u8] {
        self.desk.says()
    }

    /// The guest has taken so many bytes of that.
    pub fn said(&mut self, bytes: usize) {
        self.desk.said(bytes);
    }
}
