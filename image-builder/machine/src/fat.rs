//! A disc that UEFI firmware starts from: one partition with a FAT file system (*Microsoft FAT Specification*; *UEFI
//! Specification* 2.10, section 13.3).
//!
//! It is written here and not by tools, so that its bytes follow from what is on it alone.

/// Length of a sector.
const SECTOR: usize = 512;
/// Sectors before the partition, as partitioning tools leave them.
const START: u32 = 2048;
/// How many clusters a FAT16 file system has, at least and at most: their number is what makes it one.
const CLUSTERS: std::ops::RangeInclusive<usize> = 4085..=65524;
/// The largest cluster that every reader knows, in sectors.
const LARGEST_CLUSTER: usize = 64;
/// Tables of clusters; the second is a copy.
const TABLES: usize = 2;
/// Entries of the root folder, and their length.
const ROOT_ENTRIES: usize = 512;
const ENTRY: usize = 32;
/// Marks of a table: what the first entry is, and where a file ends.
const MEDIA: u16 = 0xfff8;
const LAST: u16 = 0xffff;
/// The day of everything on the disc: the first of 2025.
const DATE: u16 = 45 << 9 | 1 << 5 | 1;
/// What the partition is for (*UEFI Specification* 2.10, table 5.3), and its last cylinder, head and sector when they
/// are not used.
const SYSTEM_PARTITION: u8 = 0xef;
const NO_GEOMETRY: [u8; 3] = [0xfe, 0xff, 0xff];

/// Something with a name.
#[derive(Debug)]
pub struct Entry<'a> {
    /// Its name: eight letters and three, filled up with blanks, with no dot between.
    pub name: &'static [u8; 11],
    /// What it is.
    pub content: Content<'a>,
}

/// What has a name.
#[derive(Debug)]
pub enum Content<'a> {
    /// A file.
    File(&'a [u8]),
    /// A folder.
    Folder(Vec<Entry<'a>>),
}

/// A disc with these files and folders. `None`: they are too large for a file system of this kind.
#[must_use]
pub fn disc(root: &[Entry<'_>]) -> Option<Vec<u8>> {
    let sizes = (0..).map(|power| 1 << power).take_while(|sectors| *sectors <= LARGEST_CLUSTER);
    let mut volumes = sizes.map(|sectors| Volume::new(root, sectors * SECTOR));
    let volume = volumes.find(|volume| volume.table.len() - 2 <= *CLUSTERS.end())?;
    let mut disc = partition_table(volume.sectors());
    disc.resize(START as usize * SECTOR, 0);
    disc.extend(volume.bytes());
    Some(disc)
}

/// The first sector of a disc, with one partition.
fn partition_table(sectors: u32) -> Vec<u8> {
    let mut sector = vec![0; SECTOR];
    let entry = [
        &[0],
        &NO_GEOMETRY[..],
        &[SYSTEM_PARTITION],
        &NO_GEOMETRY,
        &START.to_le_bytes(),
        &sectors.to_le_bytes(),
    ];
    sector[446..462].copy_from_slice(&entry.concat());
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}

/// A file system as far as it is filled.
struct Volume {
    cluster: usize,
    /// The cluster that follows on each; the first two are none.
    table: Vec<u16>,
    root: Vec<u8>,
    data: Vec<u8>,
}

impl Volume {
    fn new(root: &[Entry<'_>], cluster: usize) -> Self {
        let mut volume = Self { cluster, table: vec![MEDIA, LAST], root: Vec::new(), data: Vec::new() };
        volume.root = root.iter().flat_map(|entry| volume.entry(entry, 0)).collect();
        volume.root.resize(ROOT_ENTRIES * ENTRY, 0);
        volume
    }

    /// Stores what has a name, in a folder that begins at `parent`. Returns the folder's entry for it.
    fn entry(&mut self, entry: &Entry<'_>, parent: u16) -> [u8; ENTRY] {
        match &entry.content {
            Content::File(bytes) => {
                let first = if bytes.is_empty() { 0 } else { self.store(bytes) };
                record(entry.name, false, first, bytes.len())
            }
            Content::Folder(entries) => {
                // Its place comes first: what is in it names it.
                let bytes = (entries.len() + 2) * ENTRY;
                let first = self.store(&vec![0; bytes]);
                let start = (usize::from(first) - 2) * self.cluster;
                let mut records =
                    vec![record(b".          ", true, first, 0), record(b"..         ", true, parent, 0)];
                records.extend(entries.iter().map(|entry| self.entry(entry, first)));
                self.data[start..start + bytes].copy_from_slice(records.as_flattened());
                record(entry.name, true, first, 0)
            }
        }
    }

    /// Stores bytes in clusters that follow each other. Returns the first.
    fn store(&mut self, bytes: &[u8]) -> u16 {
        let first = self.table.len();
        let count = bytes.len().div_ceil(self.cluster);
        // A number that does not fit is one of a volume that is not taken.
        self.table.extend((1..count).map(|place| (first + place) as u16).chain([LAST]));
        self.data.extend(bytes);
        self.data.resize((first + count - 2) * self.cluster, 0);
        first as u16
    }

    /// Clusters, at least as many as make it FAT16.
    fn clusters(&self) -> usize {
        (self.table.len() - 2).max(*CLUSTERS.start())
    }

    fn table_sectors(&self) -> usize {
        ((self.clusters() + 2) * size_of::<u16>()).div_ceil(SECTOR)
    }

    fn sectors(&self) -> u32 {
        let data = self.clusters() * self.cluster / SECTOR;
        (1 + TABLES * self.table_sectors() + ROOT_ENTRIES * ENTRY / SECTOR + data) as u32
    }

    /// The first sector, which says how long everything is.
    fn boot_sector(&self) -> Vec<u8> {
        let sectors_of_cluster = (self.cluster / SECTOR) as u8;
        let half = |value: usize| (value as u16).to_le_bytes();
        let parts: [&[u8]; 15] = [
            // A jump over what follows, and who has written it.
            &[0xeb, 0x3c, 0x90],
            b"CLOISON ",
            &half(SECTOR),
            // Reserved sectors: this one.
            &[sectors_of_cluster, 1, 0, TABLES as u8],
            &half(ROOT_ENTRIES),
            // The number of sectors has more than 16 bits, and stands below.
            &[0, 0, MEDIA as u8],
            &half(self.table_sectors()),
            // Sectors of a track, and heads.
            &[63, 0, 255, 0],
            &START.to_le_bytes(),
            &self.sectors().to_le_bytes(),
            // The drive, and what says that a number, a label and a type follow.
            &[0x80, 0, 0x29],
            b"clsn",
            b"CLOISON    ",
            b"FAT16   ",
            // There is nothing to start for a BIOS.
            &[0xf4, 0xeb, 0xfd],
        ];
        let mut sector = parts.concat();
        sector.resize(SECTOR - 2, 0);
        sector.extend([0x55, 0xaa]);
        sector
    }

    fn bytes(self) -> Vec<u8> {
        let mut table: Vec<u8> = self.table.iter().flat_map(|entry| entry.to_le_bytes()).collect();
        table.resize(self.table_sectors() * SECTOR, 0);
        let mut bytes =
            [&self.boot_sector(), &table, &table, &self.root, &self.data].map(Vec::as_slice).concat();
        bytes.resize(self.sectors() as usize * SECTOR, 0);
        bytes
    }
}

/// A folder's entry.
fn record(name: &[u8; 11], is_folder: bool, first: u16, bytes: usize) -> [u8; ENTRY] {
    const FOLDER: u8 = 0x10;
    const FILE: u8 = 0x20;
    let mut record = [0; ENTRY];
    record[..11].copy_from_slice(name);
    record[11] = if is_folder { FOLDER } else { FILE };
    for date in [16, 18, 24] {
        record[date..date + 2].copy_from_slice(&DATE.to_le_bytes());
    }
    record[26..28].copy_from_slice(&first.to_le_bytes());
    record[28..].copy_from_slice(&(bytes as u32).to_le_bytes());
    record
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn tree<'a>(small: &'a [u8], large: &'a [u8]) -> Vec<Entry<'a>> {
        let file = |name, bytes| Entry { name, content: Content::File(bytes) };
        let inner = Content::Folder(vec![file(b"SMALL   TXT", small), file(b"EMPTY      ", &[])]);
        let outer = Content::Folder(vec![Entry { name: b"INNER      ", content: inner }]);
        vec![Entry { name: b"OUTER      ", content: outer }, file(b"LARGE   BIN", large)]
    }

    /// What mtools reads of a disc.
    fn read(disc: &[u8], path: &str) -> Vec<u8> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("disc");
        std::fs::write(&file, disc).unwrap();
        let mut command = Command::new("mtype");
        let place = format!("{}@@{}", file.display(), START as usize * SECTOR);
        let output = command.args(["-i", &place, &format!("::{path}")]).output().unwrap();
        assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    #[test]
    fn what_is_stored_is_what_others_read() {
        for bytes in [0, 1, 511, 512, 513, 100_000, 40 << 20] {
            let large: Vec<u8> = (0..bytes).map(|place| (place / 7) as u8).collect();
            let disc = disc(&tree(b"some text", &large)).unwrap();
            assert_eq!(read(&disc, "/OUTER/INNER/SMALL.TXT"), b"some text");
            assert!(read(&disc, "/LARGE.BIN") == large, "{bytes} bytes");
            assert_eq!(read(&disc, "/OUTER/INNER/EMPTY"), b"");
        }
    }

    #[test]
    fn the_number_of_clusters_makes_the_kind() {
        let large = vec![1; 33 << 20];
        for (bytes, sectors_of_cluster) in [(0, 1), (31 << 20, 1), (33 << 20, 2)] {
            let disc = disc(&tree(b"", &large[..bytes])).unwrap();
            let volume = &disc[START as usize * SECTOR..];
            assert_eq!(volume[13], sectors_of_cluster, "{bytes} bytes");
            let sectors = u32::from_le_bytes(*volume[32..].first_chunk().unwrap());
            assert_eq!(sectors as usize * SECTOR, volume.len());
            assert_eq!(disc[446..][12..16], sectors.to_le_bytes());
        }
    }
}
