//! Where the volume lies on a disc: tables of partitions (*UEFI Specification* 2.10, chapter 5).

use std::{collections::BTreeMap, io::Cursor};

use gpt::{
    GptConfig,
    disk::LogicalBlockSize,
    mbr::{PartRecord, ProtectiveMBR},
    partition::Partition,
    partition_types::{BIOS, EFI, Type},
};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

/// Length of a sector.
pub(crate) const SECTOR: usize = 512;
/// Sectors before the volume, as partitioning tools leave them.
const START: usize = 2048;
/// Where the table of a disc with a GPT ends, and the sectors of its copy at the end.
const TABLE_END: usize = 34;
const COPY: usize = 33;
/// What a partition of the old table is for, and its places that are not used.
const SYSTEM_PARTITION: u8 = 0xef;
const NO_PLACE: [u8; 3] = [0xfe, 0xff, 0xff];

/// What a BIOS starts: GRUB.
pub(crate) struct Grub {
    /// The first sector.
    pub(crate) boot: Vec<u8>,
    /// What that loads.
    pub(crate) core: Vec<u8>,
}

/// A disc with an old table, and the volume as its only partition. `None`: it is too large.
pub(crate) fn with_old_table(volume: &[u8]) -> Option<Vec<u8>> {
    let [start_head, start_sector, start_track] = NO_PLACE;
    let mut table = ProtectiveMBR::new();
    let record = PartRecord {
        boot_indicator: 0,
        start_head,
        start_sector,
        start_track,
        os_type: SYSTEM_PARTITION,
        end_head: start_head,
        end_sector: start_sector,
        end_track: start_track,
        lb_start: START as u32,
        lb_size: u32::try_from(volume.len() / SECTOR).ok()?,
    };
    table.set_partition(0, record)?;
    let mut disc = table.to_bytes().to_vec();
    disc.resize(START * SECTOR, 0);
    disc.extend(volume);
    Some(disc)
}

/// A disc with a GPT: GRUB for a BIOS, and the volume for both. `None`: one of them is too large, or GRUB is not as it
/// is known.
pub(crate) fn with_gpt(volume: &[u8], grub: &Grub) -> Option<Vec<u8>> {
    let (first, core) = grub.placed(TABLE_END as u64)?;
    let end = START + volume.len() / SECTOR;
    let mut disc = vec![0; TABLE_END * SECTOR];
    disc.extend(core);
    disc.resize(START * SECTOR, 0);
    disc.extend(volume);
    disc.resize((end + COPY) * SECTOR, 0);
    let mut protection = ProtectiveMBR::with_lb_size(u32::try_from(end + COPY - 1).unwrap_or(u32::MAX));
    protection.set_bootcode(first);
    protection.overwrite_lba0(&mut Cursor::new(&mut disc)).ok()?;
    let part = |name: &str, part_type_guid: Type, from: usize, to: usize| Partition {
        part_type_guid,
        part_guid: id(name, volume),
        first_lba: from as u64,
        last_lba: to as u64 - 1,
        flags: 0,
        name: name.to_owned(),
    };
    let parts = [part("grub", BIOS, TABLE_END, START), part("cloison", EFI, START, end)];
    let config = GptConfig::new().writable(true).logical_block_size(LogicalBlockSize::Lb512);
    let mut table = config.create_from_device(Cursor::new(&mut disc), Some(id("disc", volume))).ok()?;
    table.update_partitions(BTreeMap::from_iter((1..).zip(parts))).ok()?;
    table.write().ok()?;
    Some(disc)
}

/// An id that no other disc has, and that follows from what is on this one.
fn id(name: &str, volume: &[u8]) -> Uuid {
    let digest = Sha256::new().chain_update(name).chain_update([0]).chain_update(volume).finalize();
    let mut bytes = [0; size_of::<uuid::Bytes>()];
    bytes.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Builder::from_random_bytes(bytes).into_uuid()
}

impl Grub {
    /// The first sector's program and the rest, as they are if the rest begins at a sector (GRUB,
    /// `include/grub/i386/pc/boot.h`). `None`: there is no room, or they are of a form that is not known.
    fn placed(&self, sector: u64) -> Option<([u8; 440], Vec<u8>)> {
        /// In the first sector: where the rest begins; and a jump behind which a drive's number is not believed that some
        /// BIOS gives wrongly, which two empty instructions take the place of.
        const CORE: usize = 0x5c;
        const CHECK: usize = 0x66;
        const NOTHING: [u8; 2] = [0x90; 2];
        /// In the first sector of the rest: where what follows it begins, and how many sectors that is.
        const FOLLOWS: usize = SECTOR - 12;
        const COUNT: usize = SECTOR - 4;
        let mut first: [u8; 440] = *self.boot.first_chunk()?;
        first[CORE..CORE + 8].copy_from_slice(&sector.to_le_bytes());
        first[CHECK..CHECK + 2].copy_from_slice(&NOTHING);
        let mut core = self.core.clone();
        core.resize(core.len().next_multiple_of(SECTOR), 0);
        let sectors = core.len() / SECTOR;
        let count = u16::from_le_bytes(*core.get(COUNT..)?.first_chunk()?);
        let is_known = usize::from(count) == sectors - 1 && sectors <= START - TABLE_END;
        core.get_mut(FOLLOWS..FOLLOWS + 8)?.copy_from_slice(&(sector + 1).to_le_bytes());
        is_known.then_some((first, core))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// GRUB whose rest has this number of sectors, of which the first says how many follow.
    fn grub(sectors: usize, follow: u16) -> Grub {
        let mut core = vec![7; sectors * SECTOR];
        core[SECTOR - 4..SECTOR - 2].copy_from_slice(&follow.to_le_bytes());
        Grub { boot: vec![1; SECTOR], core }
    }

    fn word(bytes: &[u8], place: usize) -> u64 {
        u64::from_le_bytes(*bytes[place..].first_chunk().unwrap())
    }

    #[test]
    fn a_gpt_names_grub_and_the_volume() {
        let volume = vec![9; 8 << 20];
        let disc = with_gpt(&volume, &grub(3, 2)).unwrap();
        let mut read = Cursor::new(disc.clone());
        let config = GptConfig::new().only_valid_headers(true);
        let table = config.open_from_device(&mut read).unwrap();
        let places: Vec<_> =
            table.partitions().values().map(|part| (part.first_lba, part.last_lba)).collect();
        assert_eq!(places, [(34, 2047), (2048, 2048 + (16 << 10) - 1)]);
        assert_eq!(word(&disc, 0x5c), 34, "where the rest of GRUB begins");
        assert_eq!(word(&disc, 34 * SECTOR + SECTOR - 12), 35, "and what follows its first sector");
        assert!(disc[START * SECTOR..][..volume.len()] == volume);
        assert_eq!(disc.len() % SECTOR, 0);
        assert_eq!(disc[510..512], [0x55, 0xaa]);
    }

    #[test]
    fn a_disc_follows_from_what_is_on_it() {
        let disc = |byte| with_gpt(&vec![byte; 8 << 20], &grub(3, 2)).unwrap();
        assert!(disc(9) == disc(9));
        let id = |disc: &[u8]| disc[SECTOR + 56..SECTOR + 72].to_vec();
        assert_ne!(id(&disc(9)), id(&disc(8)), "another system has another id");
    }

    #[test]
    fn a_grub_that_is_not_as_it_is_known_is_not_used() {
        let volume = vec![9; 8 << 20];
        assert!(with_gpt(&volume, &grub(3, 3)).is_none(), "it says another length");
        assert!(with_gpt(&volume, &grub(2015, 2014)).is_none(), "there is no room for it");
        assert!(with_gpt(&volume, &Grub { boot: vec![1; 439], ..grub(3, 2) }).is_none());
        assert!(with_gpt(&volume, &Grub { core: vec![], ..grub(3, 2) }).is_none());
    }

    #[test]
    fn an_old_table_names_the_volume() {
        let disc = with_old_table(&[9; 4 * SECTOR]).unwrap();
        let entry = [0, 0xfe, 0xff, 0xff, SYSTEM_PARTITION, 0xfe, 0xff, 0xff, 0, 8, 0, 0, 4, 0, 0, 0];
        assert_eq!(disc[446..462], entry);
        assert!(disc[462..510].iter().all(|byte| *byte == 0));
        assert_eq!(disc.len(), (START + 4) * SECTOR);
    }
}
