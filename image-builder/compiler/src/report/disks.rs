//! Disks: what is on each, and who has what of it.

use crate::manifest::DISK_GATE;
use crate::system::{Disk, System, access, part};
use crate::table::Table;

/// Nothing if there are none.
pub(super) fn disks(system: &System) -> String {
    if system.disks().is_empty() {
        return String::new();
    }
    let mut table = Table::new(["disk", "device", "what is on it", "access", "part", "of", "its access"]);
    for disk in system.disks() {
        let about = [
            system.domain(disk.domain).name.clone(),
            system.device(disk.device).name.value.clone(),
            disk.content.to_string(),
            access(disk.is_read_only).to_owned(),
        ];
        let mut parts = parts(system, disk);
        if parts.is_empty() {
            parts.push([String::new(), "nobody".to_owned(), String::new()]);
        }
        for (number, part) in parts.into_iter().enumerate() {
            // What is the disk's own stands in its first line.
            let [name, device, content, access] =
                about.each_ref().map(|text| if number == 0 { text.clone() } else { String::new() });
            let [part, owner, its_access] = part;
            table.row([name, device, content, access, part, owner, its_access]);
        }
    }
    table.render("Disks")
}

/// Who has what of a disk: the part, the domain, and how it may use it.
fn parts(system: &System, disk: &Disk) -> Vec<[String; 3]> {
    let clients = system.clients(disk.domain).filter(|client| client.offer.name.value == DISK_GATE);
    let part = |client: crate::system::Client<'_>| {
        let (part, is_read_only) = part(client.gate_use.option);
        let access = access(disk.is_read_only || is_read_only).to_owned();
        [part, system.domain(client.domain).name.clone(), access]
    };
    clients.map(part).collect()
}
