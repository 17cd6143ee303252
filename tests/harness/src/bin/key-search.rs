//! Looks for a signer's key in all of a machine's memory, and says whether a guest has it.
//!
//! ```text
//! key-search DUMP CONSOLE MIB TEXT GUEST
//! ```
//!
//! DUMP is the memory, CONSOLE what was printed: the signer's public key, and of each guest the addresses of two of its
//! kernel's symbols and a signature of the guest's name. MIB is the memory of each guest. TEXT is something that the guest
//! GUEST has in its memory: a search that does not find that would not find a key either. It also says how many guests, which
//! all see their memory from 0 on, have it elsewhere in the machine's.

use std::{collections::BTreeSet, env, fs, ops::Range, process::ExitCode};

use ed25519_dalek::{Signature, SigningKey, VerifyingKey};

/// What the signer has before its key, and within how many bytes behind that the key begins.
const MARK: &[u8] = b"the signer's key";
const NEAR: usize = 512;
/// Where Linux sees the beginning of its memory.
const KERNEL_MAP: u64 = 0xffff_ffff_8000_0000;
/// Symbols of Linux, and how what they name begins.
const SYMBOLS: [(&str, &[u8]); 2] =
    [("linux_banner", b"Linux version "), ("linux_proc_banner", b"%s version %s (")];
const PAGE: usize = 4096;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    match search(&arguments) {
        Ok(lines) => {
            lines.iter().for_each(|line| println!("{line}"));
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn search(arguments: &[String]) -> Result<Vec<String>, String> {
    let [dump, console, mib, text, holder] = arguments else {
        return Err("five arguments are needed".into());
    };
    let memory = fs::read(dump).map_err(|error| format!("{dump}: {error}"))?;
    let console = fs::read_to_string(console).map_err(|error| format!("{console}: {error}"))?;
    let bytes = mib.parse::<usize>().map_err(|error| format!("{mib}: {error}"))? << 20;

    let public = public_key(&console)?;
    let guests = guests(&console);
    for guest in &guests {
        verify(&console, guest, &public)?;
    }
    let regions = regions(&memory, &console, bytes)?;
    if regions.len() != guests.len() {
        return Err(format!("{} guests signed, and {} are in memory", guests.len(), regions.len()));
    }
    let key = find_key(&memory, &public).ok_or("the key is nowhere, so it cannot be said who has it")?;
    let places = find(&memory, &key);
    let inside = places.iter().filter(|place| is_inside(**place, &regions)).count();
    let holders =
        regions.iter().filter(|region| !find(&memory[(*region).clone()], text.as_bytes()).is_empty());
    let elsewhere = regions.iter().filter(|region| region.start > 0).count();
    Ok(vec![
        format!("{} guests have a valid signature of their own", guests.len()),
        format!("{elsewhere} guests see their memory from 0 on, and it lies elsewhere"),
        format!("the key is in memory, and at {inside} places in a guest's"),
        format!("{} guest has the text of {holder}", holders.count()),
    ])
}

/// The signer's, as it says it when it starts.
fn public_key(console: &str) -> Result<VerifyingKey, String> {
    let line = console.lines().find_map(|line| line.split_once("signer | public key "));
    let digits = line.ok_or("the signer has said no public key")?.1;
    let bytes =
        bytes(digits.trim()).and_then(|bytes| bytes.try_into().ok()).ok_or("the public key is none")?;
    VerifyingKey::from_bytes(&bytes).map_err(|error| error.to_string())
}

/// The names of those who have printed something of 64 digits, as signatures are.
fn guests(console: &str) -> BTreeSet<String> {
    let speakers = console.lines().filter_map(|line| line.split_once(" | "));
    let signers = speakers.filter(|(_, said)| is_half(said)).map(|(name, _)| name.trim().to_owned());
    signers.collect()
}

/// Whether a line is half of a signature.
fn is_half(said: &str) -> bool {
    said.trim().len() == 64 && bytes(said.trim()).is_some()
}

/// Checks the signature that a guest has printed in two halves: it is of the guest's own name.
fn verify(console: &str, guest: &str, public: &VerifyingKey) -> Result<(), String> {
    let lines = console.lines().filter_map(|line| line.split_once(" | "));
    let halves = lines.filter(|(name, said)| name.trim() == guest && is_half(said));
    let digits: String = halves.map(|(_, said)| said.trim()).collect();
    let signature = bytes(&digits).and_then(|bytes| Signature::from_slice(&bytes).ok());
    let signature = signature.ok_or_else(|| format!("{guest} has no signature: {digits}"))?;
    public
        .verify_strict(guest.as_bytes(), &signature)
        .map_err(|error| format!("the signature that {guest} has is none of its name: {error}"))
}

/// Where the guests' memory is: where both symbols of a kernel lie as far from a page's beginning as they should.
fn regions(memory: &[u8], console: &str, bytes: usize) -> Result<Vec<Range<usize>>, String> {
    let [first, second] = SYMBOLS.map(|(name, _)| offset(console, name));
    let (first, second) = (first?, second?);
    let begins = find(memory, SYMBOLS[0].1).into_iter().filter_map(|place| place.checked_sub(first));
    let begins = begins
        .filter(|begin| begin.is_multiple_of(PAGE) && memory[begin + second..].starts_with(SYMBOLS[1].1));
    Ok(begins.map(|begin| begin..begin + bytes).collect())
}

/// How far from the beginning of a guest's memory a symbol is, as one of the guests has printed it.
fn offset(console: &str, symbol: &str) -> Result<usize, String> {
    let words = console.lines().map(|line| line.split_whitespace().rev().collect::<Vec<_>>());
    let address = words.filter(|words| words.first() == Some(&symbol) && words.len() > 2);
    let address = address.filter_map(|words| u64::from_str_radix(words[2], 16).ok()).next();
    let offset = address.and_then(|address| address.checked_sub(KERNEL_MAP));
    offset.map(|offset| offset as usize).ok_or_else(|| format!("no guest says where {symbol} is"))
}

/// The key to the public one, near a mark.
fn find_key(memory: &[u8], public: &VerifyingKey) -> Option<[u8; 32]> {
    find(memory, MARK).into_iter().find_map(|place| {
        let near = memory.get(place..place + NEAR)?;
        let keys = near.windows(32).filter_map(|key| <[u8; 32]>::try_from(key).ok());
        keys.into_iter().find(|key| SigningKey::from_bytes(key).verifying_key() == *public)
    })
}

fn is_inside(place: usize, regions: &[Range<usize>]) -> bool {
    regions.iter().any(|region| region.contains(&place))
}

/// Where a text begins.
fn find(memory: &[u8], text: &[u8]) -> Vec<usize> {
    let Some((first, rest)) = text.split_first() else { return Vec::new() };
    let firsts = memory.iter().enumerate().filter(|(_, byte)| *byte == first);
    firsts.map(|(place, _)| place).filter(|place| memory[place + 1..].starts_with(rest)).collect()
}

/// The bytes of a text of digits, two each.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pairs = digits.is_ascii() && digits.len().is_multiple_of(2);
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    pairs.then(|| (0..digits.len()).step_by(2).map(byte).collect())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::Signer;

    const BYTES: usize = 1 << 20;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn put(memory: &mut [u8], at: usize, bytes: &[u8]) {
        memory[at..at + bytes.len()].copy_from_slice(bytes);
    }

    /// Two guests of 1 MiB at 1 and 3 MiB, the signer at 5.
    fn machine(key: &SigningKey) -> (Vec<u8>, String) {
        let mut memory = vec![0; 6 << 20];
        let mut console = format!("signer | public key {}\n", hex(key.verifying_key().as_bytes()));
        for (guest, begin) in [("linux1", 1 << 20), ("linux2", 3 << 20)] {
            put(&mut memory, begin + 0x1234, SYMBOLS[0].1);
            put(&mut memory, begin + 0x5678, SYMBOLS[1].1);
            let signature = hex(&key.sign(guest.as_bytes()).to_bytes());
            let (one, other) = signature.split_at(64);
            console += &format!("{guest} | {one}\nlinux9 | other\n{guest} | {other}\n");
        }
        console +=
            "linux1 | ffffffff80001234 D linux_banner\nlinux1 | ffffffff80005678 D linux_proc_banner\n";
        put(&mut memory, 5 << 20, MARK);
        put(&mut memory, (5 << 20) + 300, key.as_bytes());
        put(&mut memory, (3 << 20) + 9, b"planted");
        (memory, console)
    }

    fn searched(memory: &[u8], console: &str) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let [dump, log] = ["dump", "log"].map(|name| folder.path().join(name));
        fs::write(&dump, memory).unwrap();
        fs::write(&log, console).unwrap();
        let arguments = [&*dump.to_string_lossy(), &*log.to_string_lossy(), "1", "planted", "linux2"];
        search(&arguments.map(str::to_owned))
    }

    #[test]
    fn a_key_is_found_wherever_it_is() {
        let key = SigningKey::from_bytes(&[0x5a; 32]);
        let (mut memory, console) = machine(&key);
        let places = |memory: &[u8]| searched(memory, &console).unwrap()[2].clone();
        assert_eq!(places(&memory), "the key is in memory, and at 0 places in a guest's");
        assert_eq!(searched(&memory, &console).unwrap()[3], "1 guest has the text of linux2");
        assert!(searched(&memory, &console).unwrap()[1].starts_with("2 guests see their memory from 0 on"));
        assert!(searched(&memory[1 << 20..], &console).unwrap()[1].starts_with("1 guests"));
        for (count, place) in [(1, 1 << 20), (2, (4 << 20) - 32)] {
            put(&mut memory, place, key.as_bytes());
            assert_eq!(places(&memory), format!("the key is in memory, and at {count} places in a guest's"));
        }
        put(&mut memory, 0, key.as_bytes());
        assert!(places(&memory).contains("at 2 places"), "what is nobody's is no guest's");
        assert_eq!(regions(&memory, &console, BYTES).unwrap(), [1 << 20..2 << 20, 3 << 20..4 << 20]);
    }

    #[test]
    fn a_search_that_would_find_nothing_fails() {
        let key = SigningKey::from_bytes(&[0x5a; 32]);
        let (memory, console) = machine(&key);
        let (other, _) = machine(&SigningKey::from_bytes(&[1; 32]));
        let mut one_guest = memory.clone();
        put(&mut one_guest, (3 << 20) + 0x5678, b"other");
        let mut other_name = console.clone();
        other_name = other_name.replace("linux2 |", "linux3 |");
        for (memory, console, why) in [
            (&other, &console, "the key is nowhere"),
            (&one_guest, &console, "2 guests signed, and 1 are in memory"),
            (&memory, &console.replace("public key", ""), "no public key"),
            (&memory, &console.replace("D linux_banner", "D banner"), "no guest says where linux_banner is"),
            (&memory, &other_name, "is none of its name"),
        ] {
            let found = searched(memory, console).unwrap_err();
            assert!(found.contains(why), "{found}");
        }
    }
}
