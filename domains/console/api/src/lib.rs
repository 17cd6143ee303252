//! How a domain has the console show again what was said, and give the focus away: the interface of the gate `screen`.
//!
//! What was said is shown on the console and not told: a client of this gate reads nobody's lines.

#![no_std]
#![forbid(unsafe_code)]

use cloison_abi::Name;
use cloison_ipc::Failure;

/// Why the console did not do it.
pub type ScreenError = Failure<screen::Refusal>;

cloison_ipc::interface! {
    /// What a person sees, and to whom is typed.
    pub mod screen {
        /// Why the console refuses.
        refuse Refusal {
            /// There is no such terminal.
            NoTerminal = "no terminal has this number",
        }
        /// A terminal, by its number, from 1 on.
        terminal: Terminal { number: u8 } -> Listed { domain: Name, has_focus: bool };
        /// Gives the focus to a terminal.
        focus: Focus { number: u8 } -> Focused { domain: Name };
        /// Shows the last lines of a domain, or of all for the empty name, as far as they are kept. Says how many.
        show: Show { of: Name } -> Shown { lines: u16 };
    }
}
