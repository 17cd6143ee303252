//! What the guest can ask.

use core::fmt::Write;

use cloison_xen::xenstore::kind;
use heapless::String;

use super::connection::Payload;
use super::path::{self, Path};
use super::{GUEST, Refusal, Store};

/// What a request is answered with that has nothing to say.
const DONE: &[u8] = b"OK\0";

impl Store {
    /// Does what a request says.
    pub fn answer(&mut self, kind: u32, payload: &[u8], answer: &mut Payload) -> Result<(), Refusal> {
        let mut payload = payload;
        match kind {
            kind::DIRECTORY => self.directory(&absolute(&mut payload)?, answer),
            kind::READ => self.read(&absolute(&mut payload)?, answer),
            kind::GET_PERMS => self.permissions(&absolute(&mut payload)?, answer),
            kind::SET_PERMS => {
                let path = writable(&mut payload)?;
                self.tree.find(&path).ok_or(Refusal::NotFound)?;
                say(answer, DONE)
            }
            kind::WATCH => {
                self.watches.add(string(&mut payload)?, string(&mut payload)?)?;
                say(answer, DONE)
            }
            kind::UNWATCH => {
                self.watches.remove(string(&mut payload)?, string(&mut payload)?)?;
                say(answer, DONE)
            }
            kind::RESET_WATCHES => {
                self.watches.clear();
                say(answer, DONE)
            }
            kind::TRANSACTION_START => {
                // Never 0, which means none.
                self.transactions = self.transactions.checked_add(1).unwrap_or(1);
                number(answer, self.transactions)
            }
            kind::TRANSACTION_END => match string(&mut payload)? {
                b"T" | b"F" => say(answer, DONE),
                _ => Err(Refusal::Invalid),
            },
            kind::GET_DOMAIN_PATH => domain_path(string(&mut payload)?, answer),
            kind::WRITE | kind::MKDIR | kind::RM => {
                let path = writable(&mut payload)?;
                match kind {
                    kind::WRITE => self.write(&path, payload)?,
                    kind::MKDIR => self.make(&path)?,
                    _ => self.remove_if_there(&path)?,
                }
                self.changes = self.changes.wrapping_add(1);
                say(answer, DONE)
            }
            _ => Err(Refusal::NotOffered),
        }
    }

    fn directory(&self, path: &[u8], answer: &mut Payload) -> Result<(), Refusal> {
        let node = self.tree.find(path).ok_or(Refusal::NotFound)?;
        for name in self.tree.names(node) {
            say(answer, name)?;
            say(answer, b"\0")?;
        }
        Ok(())
    }

    fn read(&self, path: &[u8], answer: &mut Payload) -> Result<(), Refusal> {
        let value = self.tree.find(path).and_then(|node| self.tree.value(node));
        say(answer, value.ok_or(Refusal::NotFound)?)
    }

    /// The guest owns what is below its home, and may read all else.
    fn permissions(&self, path: &[u8], answer: &mut Payload) -> Result<(), Refusal> {
        self.tree.find(path).ok_or(Refusal::NotFound)?;
        let owner = if path::seen_from_home(path).is_some() { b"n1\0".as_slice() } else { b"n0\0r1\0" };
        say(answer, owner)
    }

    /// Makes a path unless it is there, which is no change then.
    fn make(&mut self, path: &[u8]) -> Result<(), Refusal> {
        match self.tree.find(path) {
            Some(_) => Ok(()),
            None => self.write(path, b""),
        }
    }

    /// Removes a path; what is not there counts as removed if it could be.
    fn remove_if_there(&mut self, path: &[u8]) -> Result<(), Refusal> {
        match self.remove(path) {
            Err(Refusal::NotFound) => {
                let name = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
                self.tree.find(&path[..name]).map(|_| ()).ok_or(Refusal::NotFound)
            }
            done => done,
        }
    }
}

fn domain_path(domain: &[u8], answer: &mut Payload) -> Result<(), Refusal> {
    let number = core::str::from_utf8(domain).ok().and_then(|text| text.parse::<u16>().ok());
    let mut path = String::<24>::new();
    write!(path, "/local/domain/{}\0", number.ok_or(Refusal::Invalid)?).expect("room for five digits");
    say(answer, path.as_bytes())
}

fn number(answer: &mut Payload, number: u32) -> Result<(), Refusal> {
    let mut text = String::<11>::new();
    write!(text, "{number}\0").expect("room for ten digits");
    say(answer, text.as_bytes())
}

fn say(answer: &mut Payload, bytes: &[u8]) -> Result<(), Refusal> {
    answer.extend_from_slice(bytes).or(Err(Refusal::TooLong))
}

/// Takes a path.
fn absolute(payload: &mut &[u8]) -> Result<Path, Refusal> {
    path::absolute(string(payload)?)
}

/// Takes a path where the guest may write.
fn writable(payload: &mut &[u8]) -> Result<Path, Refusal> {
    let path = absolute(payload)?;
    if path::seen_from_home(&path).is_some() { Ok(path) } else { Err(Refusal::NotYours) }
}

/// Takes what is before the next 0.
fn string<'a>(payload: &mut &'a [u8]) -> Result<&'a [u8], Refusal> {
    let end = payload.iter().position(|&byte| byte == 0).ok_or(Refusal::Invalid)?;
    let (string, rest) = payload.split_at(end);
    *payload = &rest[1..];
    Ok(string)
}

const _: () = assert!(GUEST == 1, "home and owner name it");
