//! Counts the words of texts that clients lend.

#![no_std]
#![no_main]

use cloison_rt::{
    log,
    sys::{Badge, info, mapped::MappedRegion, slot_drop},
};
use reader_api::reading;

cloison_rt::entry!(main);

fn main() {
    reading::serve(&mut Reader)
}

struct Reader;

impl reading::Server for Reader {
    fn count(&mut self, client: Badge, bytes: u16) -> Result<reading::Counted, reading::Refusal> {
        let entry = info::get().clients().find(|asker| asker.channel.badge == client);
        let entry = entry.ok_or(reading::Refusal::NothingLent)?;
        // Where this client's grant arrives, and what the manifest says of this client.
        let slot = info::first_grant(entry).ok_or(reading::Refusal::NothingLent)?;
        let longest = entry.channel.option as usize;

        let mut copy = [0; 80];
        let text = copy.get_mut(..bytes.into()).filter(|text| text.len() <= longest);
        let text = text.ok_or(reading::Refusal::TooLong)?;
        let loan = MappedRegion::read_only(slot).map_err(|_| reading::Refusal::NothingLent)?;
        let is_whole = loan.read(0, text);
        // The client can lend again when both are gone: the mapping, and the slot.
        drop(loan);
        let _ = slot_drop(slot);
        if !is_whole {
            return Err(reading::Refusal::TooLong);
        }
        let words = text.split(|byte| *byte == b' ').filter(|word| !word.is_empty()).count();
        log!("{} words from {}", words, entry.channel.peer.as_str());
        Ok(reading::Counted { words: words as u16 })
    }
}
