//! Who may ask the monitor for what: by the option that the manifest gives each of its clients, as no policy judges who asks.

use cloison_abi::{Badge, Name};
use ipcmon_api::control::{Allowed, Counted, EntryGiven, Headed, Loaded, Logged, Refusal, Server, Withdrawn};

/// The bits of a client's option: it decides about others; it reads the log; it reads the counts, which tell how much others do.
const MANAGES: u32 = 1;
const READS: u32 = 1 << 1;
const COUNTS: u32 = 1 << 2;

/// A server that does what it is asked for, and the option of who asks.
#[derive(Debug)]
pub struct Admitted<'a, S> {
    /// The server.
    pub server: &'a mut S,
    /// The option.
    pub option: u32,
}

impl<S> Admitted<'_, S> {
    /// The server, if the client has one of these bits.
    fn with(&mut self, one_of: u32) -> Result<&mut S, Refusal> {
        if self.option & one_of != 0 { Ok(self.server) } else { Err(Refusal::NotManager) }
    }
}

impl<S: Server> Server for Admitted<'_, S> {
    fn withdraw(&mut self, client: Badge, subject: Name, object: Name) -> Result<Withdrawn, Refusal> {
        self.with(MANAGES)?.withdraw(client, subject, object)
    }

    fn allow(&mut self, client: Badge, subject: Name, object: Name) -> Result<Allowed, Refusal> {
        self.with(MANAGES)?.allow(client, subject, object)
    }

    fn load(&mut self, client: Badge, policy: Name) -> Result<Loaded, Refusal> {
        self.with(MANAGES)?.load(client, policy)
    }

    fn counts(&mut self, client: Badge) -> Result<Counted, Refusal> {
        self.with(MANAGES | COUNTS)?.counts(client)
    }

    fn log(&mut self, client: Badge) -> Result<Logged, Refusal> {
        self.with(MANAGES | READS)?.log(client)
    }

    fn head(&mut self, client: Badge, before: bool) -> Result<Headed, Refusal> {
        self.with(MANAGES | READS)?.head(client, before)
    }

    fn entry(&mut self, client: Badge, number: u64, second: bool) -> Result<EntryGiven, Refusal> {
        self.with(MANAGES | READS)?.entry(client, number, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that does nothing, and says so.
    struct Willing;

    impl Server for Willing {
        fn withdraw(&mut self, _: Badge, _: Name, _: Name) -> Result<Withdrawn, Refusal> {
            Ok(Withdrawn {})
        }

        fn allow(&mut self, _: Badge, _: Name, _: Name) -> Result<Allowed, Refusal> {
            Ok(Allowed { refused: 0 })
        }

        fn load(&mut self, _: Badge, _: Name) -> Result<Loaded, Refusal> {
            Ok(Loaded { epoch: 1, closed: 0 })
        }

        fn counts(&mut self, _: Badge) -> Result<Counted, Refusal> {
            Ok(Counted { questions: 0, allowed: 0, denied: 0, kept: 0, refused: 0, epoch: 1 })
        }

        fn log(&mut self, _: Badge) -> Result<Logged, Refusal> {
            Ok(Logged { entries: 0, first: 0 })
        }

        fn head(&mut self, _: Badge, _: bool) -> Result<Headed, Refusal> {
            Ok(Headed { head: ipcmon_api::record::NO_ENTRIES })
        }

        fn entry(&mut self, _: Badge, _: u64, _: bool) -> Result<EntryGiven, Refusal> {
            Ok(EntryGiven { bytes: [0; 32] })
        }
    }

    /// Whether a client with an option is let to each of `withdraw`, `allow`, `load`, `counts`, `log`, `head`, `entry`.
    fn lets(option: u32) -> [bool; 7] {
        let mut willing = Willing;
        let mut admitted = Admitted { server: &mut willing, option };
        let (client, name) = (Badge(1), Name::EMPTY);
        [
            admitted.withdraw(client, name, name).err(),
            admitted.allow(client, name, name).err(),
            admitted.load(client, name).err(),
            admitted.counts(client).err(),
            admitted.log(client).err(),
            admitted.head(client, false).err(),
            admitted.entry(client, 0, false).err(),
        ]
        .map(|refused| {
            assert!(matches!(refused, None | Some(Refusal::NotManager)));
            refused.is_none()
        })
    }

    #[test]
    fn a_client_is_let_to_what_its_option_is_for() {
        let none = [false; 7];
        assert_eq!(lets(0), none);
        assert_eq!(lets(MANAGES), [true; 7]);
        assert_eq!(lets(READS), [false, false, false, false, true, true, true]);
        assert_eq!(lets(COUNTS), [false, false, false, true, false, false, false]);
        // What the manifest's compiler does not give means nothing.
        assert_eq!(lets(!(MANAGES | READS | COUNTS)), none);
    }
}
