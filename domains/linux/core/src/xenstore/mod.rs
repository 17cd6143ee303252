//! Xenstore: a store of small values by path, through which the guest learns of its devices and the devices' backends
//! learn what the guest has set up. The guest is its only client, so there is one connection, and what a transaction
//! writes is written at once.
//!
//! All tables have fixed sizes; a guest that fills them is refused more, and harms itself alone.

mod connection;
mod describe;
mod path;
mod requests;
mod tree;
mod watches;

#[cfg(test)]
mod tests;

pub use connection::Broken;
pub use path::{BACKENDS, HOME, PATH_BYTES};
pub use tree::{NAME_BYTES, NODES, VALUE_BYTES};
pub use watches::{TOKEN_BYTES, WATCHES};

use connection::Connection;
use tree::Tree;
use watches::Watches;

use crate::machine::Memory;
use crate::saved::carried;

/// The domain that the guest takes itself for.
pub const GUEST: u16 = 1;
/// The domain that it takes its devices' backends for.
pub const BACKEND: u16 = 0;

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// There is no such path, or no such watch.
    NotFound,
    /// The request makes no sense.
    Invalid,
    /// The guest may not write there.
    NotYours,
    /// The watch is there already.
    Exists,
    /// A name, a value, a token or the reply is too long.
    TooLong,
    /// A table is full.
    Full,
    /// The request is not offered.
    NotOffered,
}

impl Refusal {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::NotFound => "ENOENT",
            Self::Invalid => "EINVAL",
            Self::NotYours => "EACCES",
            Self::Exists => "EEXIST",
            Self::TooLong => "E2BIG",
            Self::Full => "ENOSPC",
            Self::NotOffered => "ENOSYS",
        }
    }
}

/// The store, and the guest's connection to it.
pub struct Xenstore {
    store: Store,
    connection: Connection,
}

/// The store.
struct Store {
    tree: Tree,
    watches: Watches,
    /// Transactions begun.
    transactions: u32,
    /// Changes by the guest.
    changes: u32,
}

carried!(Xenstore { store, connection });
carried!(Store { tree, watches, transactions, changes });

impl Xenstore {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        let store = Store { tree: Tree::new(), watches: Watches::new(), transactions: 0, changes: 0 };
        Self { store, connection: Connection::new() }
    }

    /// Empties the store, for a guest that begins.
    pub fn clear(&mut self) {
        self.store.tree.clear();
        self.store.watches.clear();
        (self.store.transactions, self.store.changes) = (0, 0);
        self.connection.clear();
    }

    /// Answers what the guest asks through its page, and tells it what has changed; `true` if the guest has to be
    /// told by its event channel.
    ///
    /// # Errors
    /// [`Broken`], and from then on always: the guest has broken the rules of the connection.
    pub fn serve(&mut self, memory: &mut impl Memory, page: u64) -> Result<bool, Broken> {
        self.connection.serve(memory, page, &mut self.store)
    }

    /// How often the guest has changed something: backends look again if this is another number.
    #[must_use]
    pub fn changes(&self) -> u32 {
        self.store.changes
    }

    /// The value of a path.
    #[must_use]
    pub fn read(&self, path: &str) -> Option<&[u8]> {
        self.store.tree.value(self.store.tree.find(path.as_bytes())?)
    }

    /// Gives a path a value, which the guest is told with the next [`Self::serve`].
    ///
    /// # Errors
    /// [`Refusal::Invalid`] for what is no path, [`Refusal::TooLong`], [`Refusal::Full`].
    pub fn write(&mut self, path: &str, value: &[u8]) -> Result<(), Refusal> {
        let path = path::absolute(path.as_bytes())?;
        self.store.write(&path, value)
    }

    /// Removes a path and all below it.
    ///
    /// # Errors
    /// [`Refusal::Invalid`], [`Refusal::NotFound`].
    pub fn remove(&mut self, path: &str) -> Result<(), Refusal> {
        let path = path::absolute(path.as_bytes())?;
        self.store.remove(&path)
    }
}

impl Default for Xenstore {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    fn write(&mut self, path: &[u8], value: &[u8]) -> Result<(), Refusal> {
        let node = self.tree.make(path)?;
        self.tree.set(node, value)?;
        self.watches.changed(path);
        Ok(())
    }

    fn remove(&mut self, path: &[u8]) -> Result<(), Refusal> {
        let node = self.tree.find(path).ok_or(Refusal::NotFound)?;
        self.tree.remove(node);
        self.watches.removed(path);
        Ok(())
    }
}
