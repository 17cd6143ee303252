//! What the core asks of the place where it runs: the shim in its domain, or a test on the host.

use core::task::Poll;

use zerocopy::{FromBytes, Immutable, IntoBytes};

/// A space of the guest, by its number: below [`cloison_abi::guest::GUEST_SPACES`]. Space 0 owns the upper half.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Space(pub u8);

/// A page that a guest can be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Page {
    /// Of its memory.
    Ram(u32),
    /// Of what it shares with the shim beside its memory: the shared page, then the grant table.
    Shared(u32),
    /// Of the table that says which of its frames a frame of the machine is: here each is itself.
    MachineToPhysical(u32),
}

/// A page to show, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shown {
    /// Which.
    pub page: Page,
    /// Whether the guest may write to it.
    pub write: bool,
    /// Whether the guest may execute it.
    pub execute: bool,
}

/// There is no room for a page table: some space has to go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRoom;

/// Words that are read at a time where there are many.
pub const ROW_WORDS: usize = 64;
/// A row of words.
pub type Row = [u64; ROW_WORDS];

/// Memory that the guest can name by an address: its own from 0 on, then [`Page::Shared`] from
/// [`Memory::shared_address`] on. It may change whenever the guest runs, and only then.
pub trait Memory {
    /// Pages of its own.
    fn pages(&self) -> u32;

    /// Where the shared pages begin: after its own, rounded up to 512 pages, so that Linux takes their frames as they
    /// are (it has no translation for frames beyond the rounded end).
    fn shared_address(&self) -> u64 {
        u64::from(self.pages()).next_multiple_of(512) * cloison_abi::limits::PAGE_BYTES
    }

    /// Reads bytes; `None` if not all of them are the guest's.
    fn read(&self, at: u64, into: &mut [u8]) -> Option<()>;

    /// Writes bytes; `None`, and nothing is written, if not all of them are the guest's.
    fn write(&mut self, at: u64, from: &[u8]) -> Option<()>;

    /// Reads a word of eight bytes.
    fn load(&self, at: u64) -> Option<u64> {
        let mut bytes = [0; 8];
        self.read(at, &mut bytes)?;
        Some(u64::from_le_bytes(bytes))
    }

    /// Reads a row of words of its own, which begins at a multiple of its length.
    fn load_row(&self, at: u64, row: &mut Row) -> Option<()> {
        (at..).step_by(size_of::<u64>()).zip(row).try_for_each(|(at, word)| {
            *word = self.load(at)?;
            Some(())
        })
    }

    /// Writes a word of eight bytes.
    fn store(&mut self, at: u64, value: u64) -> Option<()> {
        self.write(at, &value.to_le_bytes())
    }

    /// Reads a value that has a layout.
    fn get<T: FromBytes + IntoBytes>(&self, at: u64) -> Option<T> {
        let mut value = T::new_zeroed();
        self.read(at, value.as_mut_bytes())?;
        Some(value)
    }

    /// Writes a value that has a layout.
    fn put<T: IntoBytes + Immutable>(&mut self, at: u64, value: &T) -> Option<()> {
        self.write(at, value.as_bytes())
    }
}

/// What the guest sees where: the kernel's part.
pub trait Spaces {
    /// Makes a space, with an empty lower half.
    ///
    /// # Errors
    /// [`NoRoom`].
    fn create(&mut self, space: Space) -> Result<(), NoRoom>;

    /// Ends a space.
    fn destroy(&mut self, space: Space);

    /// Shows pages from an address on, one after the other; where there is `None` all stays as it is. An address of the
    /// upper half is seen from all spaces.
    ///
    /// # Errors
    /// [`NoRoom`]; some of the pages may be shown then.
    fn map(&mut self, space: Space, at: u64, pages: &[Option<Shown>]) -> Result<(), NoRoom>;

    /// Shows nothing any more from an address on.
    fn unmap(&mut self, space: Space, at: u64, pages: u64);

    /// Says how the kernel switches the guest's halves by itself, in its words: a page of words, where a program's calls and
    /// those of the guest's kernel go on and behind which call a return ends, a bit for each number of a call of the guest's
    /// kernel that leads there. Says whether it does.
    fn lead(&mut self, _words: Page, _addresses: [u64; 3], _numbers: u64) -> bool {
        false
    }
}

/// What is done with sectors of a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskOperation {
    /// They are read into the place.
    Read,
    /// They are written from the place.
    Write,
    /// What was written before is put where it stays; it is about no sectors.
    Flush,
}

/// A disk; there is none unless it has sectors. It carries out some requests at a time, each with its data in a place.
pub trait Disk {
    /// Number of its sectors, of 512 bytes each.
    fn sectors(&self) -> u64 {
        0
    }

    /// Whether it cannot be written.
    fn is_read_only(&self) -> bool {
        true
    }

    /// Takes a place for a request, if one is free; it has room for as much as a request of the guest can have.
    fn take_place(&mut self) -> Option<usize> {
        None
    }

    /// Copies bytes into a place that is taken.
    fn fill_place(&mut self, _place: usize, _at: usize, _from: &[u8]) {}

    /// Copies bytes out of a place that is taken.
    fn read_place(&mut self, _place: usize, _at: usize, _into: &mut [u8]) {}

    /// Begins a request with what is in a place, of sectors that the disk has.
    fn begin(&mut self, _place: usize, _operation: DiskOperation, _first: u64, _sectors: u8) {}

    /// A request that has ended: its place, and whether it was carried out. The place stays taken.
    fn next_ended(&mut self) -> Option<(usize, bool)> {
        None
    }

    /// Lets go of a place.
    fn release_place(&mut self, _place: usize) {}
}

/// A port of a network; there is none unless it has an address.
pub trait Network {
    /// The guest's Ethernet address.
    fn mac(&self) -> Option<[u8; 6]> {
        None
    }

    /// Whether a frame can be sent.
    fn has_room(&mut self) -> bool {
        false
    }

    /// Sends a frame: lost if there is no room.
    fn send(&mut self, _frame: &[u8]) {}

    /// Takes the next frame that has come; its length. One that does not fit is lost.
    fn receive(&mut self, _into: &mut [u8]) -> Option<usize> {
        None
    }
}

/// A TPM, which carries out a command at a time; there is none unless it says so.
pub trait Tpm {
    /// Whether there is one.
    fn has_tpm(&self) -> bool {
        false
    }

    /// Hands over a command.
    fn submit(&mut self, _command: &[u8]) -> Submission {
        Submission::Lost
    }

    /// Asks for the response to the command, which goes into `response`: its length, or `None` if there will be none.
    fn finish(&mut self, _response: &mut [u8]) -> Poll<Option<usize>> {
        Poll::Ready(None)
    }

    /// Takes the command back: its response does not matter any more.
    fn cancel(&mut self) {}
}

/// What became of a command that was handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submission {
    /// The TPM has it.
    Taken,
    /// Not now: hand it over again.
    Later,
    /// No TPM is given a command of such a form.
    Malformed,
    /// There will be no response.
    Lost,
}

/// Somebody who reads what the guest writes to its second terminal, and answers there; nobody unless it says so.
pub trait Clerk {
    /// Whether somebody is there.
    fn has_clerk(&self) -> bool {
        false
    }

    /// Hears what the guest has written.
    fn hear(&mut self, _text: &[u8]) {}

    /// What it has to say that the guest has not taken yet.
    fn says(&self) -> &[u8] {
        &[]
    }

    /// The guest has taken so many bytes of that.
    fn said(&mut self, _bytes: usize) {}
}

/// The rest: time, the CPU, the way out.
pub trait Machine: Memory + Spaces + Disk + Network + Tpm + Clerk {
    /// The time-stamp counter, as the guest reads it.
    fn ticks(&self) -> u64;

    /// Ticks in a second.
    fn frequency(&self) -> u64;

    /// The calendar when the counter was 0, in nanoseconds since 1970 (UTC); 0 if nobody knows.
    fn epoch(&self) -> u64;

    /// What the CPU says of itself.
    fn cpuid(&self, leaf: u32, subleaf: u32) -> [u32; 4];

    /// Brings out what the guest prints.
    fn print(&mut self, text: &[u8]);
}
