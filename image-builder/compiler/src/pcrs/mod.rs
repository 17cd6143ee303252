//! What a TPM's registers will be when a system has been started, and what that follows from.

mod format;
mod record;

use cloison_measure::{
    Bank, Digests, Event, Registers, Rows,
    event::{System as Measured, sha256},
    firmware, log,
};

pub use record::Record;

/// The registers that the machine alone determines, and what firmware puts there: UEFI firmware, and a BIOS.
pub const OF_UEFI: &[(u32, &str)] =
    &[(0, "firmware's code"), (1, "firmware's settings"), (7, "the keys of Secure Boot")];
/// See [`OF_UEFI`].
pub const OF_BIOS: &[(u32, &str)] = &[(1, "the machine's tables"), (2, "programs of its devices")];

/// The same of UEFI firmware with a TPM 1.2: there its settings, and that it starts a loader, go where other firmware measures its end
/// (TCG *EFI Platform Specification*, family 1.2, section 5.2).
const OF_UEFI_12: &[(u32, &str)] = &[
    (0, "firmware's code"),
    (1, "firmware's configuration"),
    (5, "firmware's settings, start of a loader, end of firmware"),
    (7, "what is the maker's"),
];

/// How a machine is started.
#[derive(Debug, Clone, Copy)]
pub enum Boot<'a> {
    /// By UEFI and the loader of this project, whose file this is.
    Efi(&'a [u8]),
    /// The same, from a disk with a table of partitions that firmware measures.
    EfiDisk {
        /// The loader's file.
        loader: &'a [u8],
        /// The disk.
        disk: &'a [u8],
    },
    /// By a BIOS and GRUB, from this disc. They measure nothing of kernel and image.
    Bios(&'a [u8]),
}

/// Something that will be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Expected {
    pcr: u32,
    kind: u32,
    name: String,
    digests: Digests,
    data: Vec<u8>,
}

/// All that will be measured and is known ahead, in its order.
#[derive(Debug, Clone)]
pub struct Prediction {
    events: Vec<Expected>,
    others: &'static [(u32, &'static str)],
    record: Record,
    /// The banks that the TPM has.
    banks: &'static [Bank],
}

impl Prediction {
    /// Of a kernel and an image. `None`: the image, or the loader's file or the disc, is none.
    #[must_use]
    pub fn new(boot: Boot<'_>, kernel: &[u8], image: &[u8]) -> Option<Self> {
        let of_firmware = |event: firmware::FirmwareEvent| Expected {
            pcr: event.pcr,
            kind: event.kind,
            name: event.name.to_owned(),
            digests: event.digests,
            data: event.data.to_vec(),
        };
        let (loader, table) = match boot {
            Boot::Efi(loader) => (loader, None),
            Boot::EfiDisk { loader, disk } => (loader, Some(firmware::partitions(disk)?)),
            Boot::Bios(disc) => {
                let events = firmware::bios(disc)?.map(of_firmware).collect();
                return Some(Self { events, others: OF_BIOS, record: Record::default(), banks: &Bank::ALL });
            }
        };
        let mut events: Vec<_> = firmware::before(firmware::program(loader)?).map(of_firmware).collect();
        events.extend(table.map(of_firmware));
        events.extend(measured(kernel, image)?.into_iter().map(|event| {
            let line = event.to_string();
            let digests = Digests::of(line.as_bytes());
            Expected {
                pcr: event.pcr,
                kind: log::kind::LOADER,
                name: event.name.to_owned(),
                digests,
                data: line.into(),
            }
        }));
        events.extend(firmware::after().map(of_firmware));
        Some(Self { events, others: OF_UEFI, record: Record::default(), banks: &Bank::ALL })
    }

    /// The same with what was once read of the machine.
    #[must_use]
    pub fn with(self, record: Record) -> Self {
        Self { record, ..self }
    }

    /// The same of a machine with a TPM 1.2, whose registers are of SHA-1. UEFI firmware measures into it by its older protocol, which
    /// has its own settings in a register that is the same on all machines otherwise.
    #[must_use]
    pub fn of_tpm_12(mut self) -> Self {
        self.banks = &[Bank::Sha1];
        if self.others == OF_UEFI {
            self.others = OF_UEFI_12;
            self.events.retain(|event| !firmware::goes_elsewhere_in_tpm_12(event.pcr, event.kind));
        }
        self
    }

    /// The registers that follow.
    #[must_use]
    pub fn registers(&self, bank: Bank) -> Registers {
        let mut registers = Registers::new(bank);
        for event in &self.events {
            registers.extend(event.pcr, event.digests.get(bank));
        }
        registers
    }

    /// The registers that are known, in order.
    fn pcrs(&self) -> Vec<u32> {
        let mut pcrs: Vec<u32> = self.events.iter().map(|event| event.pcr).collect();
        pcrs.sort_unstable();
        pcrs.dedup();
        pcrs
    }

    /// What goes into a register.
    fn rows(&self, pcr: u32) -> Vec<&str> {
        self.events.iter().filter(|event| event.pcr == pcr).map(|event| event.name.as_str()).collect()
    }

    /// The log that a machine will have, without the events that only the machine knows.
    #[must_use]
    pub fn event_log(&self) -> Vec<u8> {
        let mut out = Vec::new();
        log::write_start_of(&mut out, self.banks);
        for event in &self.events {
            let digests = self.banks.iter().map(|bank| (bank.algorithm(), event.digests.get(*bank)));
            log::write_hashed(&mut out, (event.pcr, event.kind), digests, &event.data);
        }
        out
    }
}

/// What the loader has to find when it measures kernel and image: a line for each event. `None`: the image is none.
#[must_use]
pub fn listing(kernel: &[u8], image: &[u8]) -> Option<String> {
    // The options are the machine's.
    Some(measured(kernel, image)?.iter().skip(1).map(|event| format!("{event}\n")).collect())
}

/// What the loader measures of a kernel and an image, if it is started without options.
fn measured<'a>(kernel: &'a [u8], image: &'a [u8]) -> Option<Vec<Event<'a>>> {
    let rows = Rows::read(image).ok()?;
    Some(Measured { options: &[], kernel, image, rows }.events(sha256).collect())
}
