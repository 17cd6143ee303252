//! How a domain asks the monitor to withdraw what others may do, and to allow it again: the interface of the gate
//! `ipcmon`.

#![no_std]
#![forbid(unsafe_code)]

pub mod record;

use cloison_abi::Name;
use cloison_ipc::Failure;

/// Why the monitor did not do it.
pub type ControlError = Failure<control::Refusal>;

cloison_ipc::interface! {
    /// What domains may do to each other, beside the policy.
    pub mod control {
        /// Why the monitor refuses.
        refuse Refusal {
            /// The manifest does not say `manage = 1` for this client, nor `reads = 1` if it wants to read the log, nor
            /// `counts = 1` if it wants the counts.
            NotManager = "this domain was not given the option for this",
            /// No domain has one of the names.
            Unknown = "no domain has this name",
            /// The monitor and what it calls are judged by nobody.
            NotJudged = "the policy does not judge this domain",
            /// So much is withdrawn that nothing more can be.
            Full = "no more can be withdrawn at one time",
            /// The manifest has no policy of this name.
            UnknownPolicy = "the manifest has no policy of this name",
            /// The policy is none that can be in force.
            BadPolicy = "this policy cannot be in force",
            /// The log does not have this entry any more, or not yet.
            NoEntry = "the log does not keep this entry",
        }
        /// Withdraws from `subject` all that it may do to `object`. What it is doing is at an end when this returns.
        withdraw: Withdraw { subject: Name, object: Name } -> Withdrawn {};
        /// The policy decides again. Says how often the subject was refused since it first tried.
        allow: Allow { subject: Name, object: Name } -> Allowed { refused: u32 };
        /// Puts another policy of the manifest in force. What it does not allow is at an end when this returns; says how
        /// much of what was open that is, and the number of the epoch that begins.
        load: Load { policy: Name } -> Loaded { epoch: u32, closed: u32 };
        /// How many entries the log has, and the number of the first that is kept.
        log: Log {} -> Logged { entries: u64, first: u64 };
        /// What stands at the end of the log; or, if `before`, before the first entry that is kept.
        head: HeadOf { before: bool } -> Headed { head: record::Head };
        /// An entry of the log, of which this is the first or the second half.
        entry: EntryHalf { number: u64, second: bool } -> EntryGiven { bytes: [u8; 32] };
        /// What has been asked so far, and how it was answered; how many decisions the kernel keeps, so that it does not
        /// ask again, and how often it has refused something in all; how many policies have been in force.
        counts: Counts {} -> Counted { questions: u32, allowed: u32, denied: u32, kept: u32, refused: u32, epoch: u32 };
    }
}
