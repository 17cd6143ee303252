//! The table of what is measured of the image: rows that tile it, each with a name that a person knows.

use cloison_abi::image::ImageHeader;
use cloison_abi::limits::PAGE_BYTES;
use cloison_abi::measure::{
    MAX_ROW_NAME_BYTES, MAX_ROWS, PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS, ROWS_MAGIC, RowEntry, RowsHeader,
};
use cloison_measure::later::WITH;
use zerocopy::IntoBytes;

use crate::plan::Plan;
use crate::system::{ComponentId, Domain, FileId, Guest, System};

/// What a row is called, and its register.
struct Named {
    name: String,
    pcr: u32,
}

/// The rows of an image, in its order: header, builder, programs, files, policy, plan.
pub(super) struct Rows(Vec<Named>);

impl Rows {
    /// Those of a system.
    pub(super) fn new(system: &System, plan: &Plan) -> Self {
        let named = |name: String, pcr| Named { name, pcr };
        let mut rows = vec![named("header".into(), PCR_BUILDER), named("builder".into(), PCR_BUILDER)];
        let programs = (1..plan.programs.len()).map(|number| program(system, ComponentId(number)));
        let files = plan.files.iter().map(|file| file_name(system, file.file));
        rows.extend(programs.chain(files).map(|name| named(name, PCR_PROGRAMS)));
        rows.extend(["policy", "plan"].map(|name| named(name.into(), PCR_PLAN)));
        Self(rows)
    }

    /// Whether who measures can read them: there are not too many, no name is too long, and their table is in the first page.
    pub(super) fn fit(&self) -> bool {
        let is_short = |row: &Named| row.name.len() <= MAX_ROW_NAME_BYTES;
        let head = size_of::<ImageHeader>() + self.table_bytes();
        self.0.len() <= MAX_ROWS && self.0.iter().all(is_short) && head as u64 <= PAGE_BYTES
    }

    /// How long their table is.
    pub(super) fn table_bytes(&self) -> usize {
        let names: usize = self.0.iter().map(|row| row.name.len()).sum();
        size_of::<RowsHeader>() + self.0.len() * size_of::<RowEntry>() + names
    }

    /// Their table, if they begin at these places of the image, which ends with the last.
    pub(super) fn table(&self, places: &[u64]) -> Vec<u8> {
        let count = self.0.len() as u32;
        let mut table = RowsHeader { magic: ROWS_MAGIC, count, reserved: 0 }.as_bytes().to_vec();
        for (row, ends) in self.0.iter().zip(places.windows(2)) {
            let (image_offset, image_bytes) = (ends[0], ends[1] - ends[0]);
            let name_bytes = row.name.len() as u32;
            table.extend(RowEntry { image_offset, image_bytes, pcr: row.pcr, name_bytes }.as_bytes());
        }
        self.0.iter().for_each(|row| table.extend(row.name.as_bytes()));
        table
    }
}

/// The domains that run a program, and those that can be started with it: it is in the image once.
fn program(system: &System, component: ComponentId) -> String {
    let image = &system.component(component).name;
    let runs = |domain: &Domain| {
        let (name, is_image) = (&domain.name, domain.images.contains(&component));
        let own = (domain.component == component).then(|| name.clone());
        own.into_iter().chain(is_image.then(|| format!("{name}{WITH}{image}")))
    };
    let names: Vec<String> = system.domains().flat_map(|(_, domain)| runs(domain)).collect();
    format!("domain {}", names.join(", "))
}

/// The domains whose guests begin with a file, and what it is for them. Where it lies on the host is of no matter.
fn file_name(system: &System, file: FileId) -> String {
    let users = |is: &dyn Fn(&Guest) -> bool, what: &str| {
        let domains = system.domains().filter(|(_, domain)| domain.guest.as_ref().is_some_and(is));
        let names: Vec<&str> = domains.map(|(_, domain)| domain.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{what} of {}", names.join(", ")))
    };
    let uses = [
        users(&|guest| guest.kernels().any(|kernel| kernel == file), "kernel"),
        users(&|guest| guest.initramfs == Some(file), "initramfs"),
    ];
    let uses: Vec<String> = uses.into_iter().flatten().collect();
    if uses.is_empty() { "file".to_owned() } else { uses.join(", ") }
}
