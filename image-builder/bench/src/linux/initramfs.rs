//! The file system from which Linux starts: a few of the packages' files, the measuring script, and a program
//! of our own.

use std::io::{self, Read};

use image_builder::build::Context;
use image_machine::{
    Failure,
    initramfs::{Content, archive},
    linux_program::{self, Symbols},
};

use super::packages::{Package, Packages};

/// The script that measures.
pub(super) const SCRIPT: &str = include_str!("guest/init.sh");
/// The program that makes UDP round trips, and where it lies.
pub(super) const UDP_ROUND_TRIP: &str = include_str!("guest/udp_round_trip.rs");
const UDP_ROUND_TRIP_FILE: &str = "image-builder/bench/src/linux/guest/udp_round_trip.rs";

/// A file that is taken from a package.
struct Wanted {
    /// The package; the kernel's has its version in its name.
    package: &'static str,
    /// What the file's path in the package contains. Libraries have their full version behind it.
    mark: &'static str,
    /// Where it goes.
    to: &'static str,
}

/// The first package is the kernel's.
const WANTED: &[Wanted] = &[
    wanted("linux-image", "/boot/vmlinuz-", KERNEL),
    wanted("linux-image", "/kernel/net/llc/llc.ko", "modules/llc.ko"),
    wanted("linux-image", "/kernel/net/802/stp.ko", "modules/stp.ko"),
    wanted("linux-image", "/kernel/net/bridge/bridge.ko", "modules/bridge.ko"),
    wanted("linux-image", "/kernel/drivers/net/veth.ko", "modules/veth.ko"),
    wanted("linux-image", "/drivers/virtio/virtio.ko", "modules/virtio.ko"),
    wanted("linux-image", "/drivers/virtio/virtio_ring.ko", "modules/virtio_ring.ko"),
    wanted("linux-image", "/drivers/virtio/virtio_pci_modern_dev.ko", "modules/virtio_pci_modern_dev.ko"),
    wanted("linux-image", "/drivers/virtio/virtio_pci_legacy_dev.ko", "modules/virtio_pci_legacy_dev.ko"),
    wanted("linux-image", "/drivers/virtio/virtio_pci.ko", "modules/virtio_pci.ko"),
    wanted("linux-image", "/net/core/failover.ko", "modules/failover.ko"),
    wanted("linux-image", "/drivers/net/net_failover.ko", "modules/net_failover.ko"),
    wanted("linux-image", "/drivers/net/virtio_net.ko", "modules/virtio_net.ko"),
    wanted("busybox-static", "/bin/busybox", "bin/busybox"),
    wanted("iperf3", "/bin/iperf3", "bin/iperf3"),
    wanted("libiperf0", "/libiperf.so.0", "lib/libiperf.so.0"),
    wanted("libsctp1", "/libsctp.so.1", "lib/libsctp.so.1"),
    wanted("libssl3", "/libssl.so.3", "lib/libssl.so.3"),
    wanted("libssl3", "/libcrypto.so.3", "lib/libcrypto.so.3"),
    wanted("libc6", "/libc.so.6", "lib/libc.so.6"),
    wanted("libc6", "/libm.so.6", "lib/libm.so.6"),
    wanted("libc6", "/ld-linux-x86-64.so.2", "lib64/ld-linux-x86-64.so.2"),
];

/// The kernel, which does not go into the file system.
const KERNEL: &str = "vmlinuz";

const fn wanted(package: &'static str, mark: &'static str, to: &'static str) -> Wanted {
    Wanted { package, mark, to }
}

/// The packages besides the kernel's.
pub(super) fn packages() -> Vec<&'static str> {
    let mut names: Vec<_> = WANTED.iter().map(|wanted| wanted.package).collect();
    names.dedup();
    names.split_off(1)
}

/// Takes the files out of the packages. Returns the kernel, and the file system.
pub(super) fn build(
    context: &Context,
    packages: &Packages<'_>,
    set: &[Package],
) -> Result<(Vec<u8>, Vec<u8>), Failure> {
    let mut files = Vec::new();
    for package in set {
        take(packages, package, &mut files)?;
    }
    let kernel = files.iter().position(|(to, _)| *to == KERNEL);
    let (_, kernel) = files.swap_remove(kernel.ok_or_else(|| lacks(&WANTED[0]))?);
    files.push(("init", SCRIPT.into()));
    let source = context.workspace.root.join(UDP_ROUND_TRIP_FILE);
    let round_trip =
        linux_program::compile(&source, Symbols::Stripped, &context.target, &context.interrupts)?;
    files.push(("bin/udp-round-trip", round_trip));
    let files: Vec<_> = files.into_iter().map(|(to, bytes)| (to, Content::File(bytes))).collect();
    let archive = archive(&files, &["dev", "proc", "sys", "tmp"])
        .map_err(|error| Failure::machine("cannot make the initramfs", &error))?;
    Ok((kernel, archive))
}

/// Takes what is wanted of a package.
fn take(
    packages: &Packages<'_>,
    package: &Package,
    files: &mut Vec<(&'static str, Vec<u8>)>,
) -> Result<(), Failure> {
    let wanted: Vec<_> = WANTED.iter().filter(|wanted| package.name.starts_with(wanted.package)).collect();
    packages.read(package, &mut |path, content| take_if_wanted(&wanted, path, content, files))?;
    let missing = wanted.iter().find(|wanted| files.iter().all(|(to, _)| *to != wanted.to));
    missing.map_or(Ok(()), |wanted| Err(lacks(wanted)))
}

fn take_if_wanted(
    wanted: &[&Wanted],
    path: &str,
    content: &mut dyn Read,
    files: &mut Vec<(&'static str, Vec<u8>)>,
) -> io::Result<()> {
    let Some(wanted) = wanted.iter().find(|wanted| path.contains(wanted.mark)) else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    content.read_to_end(&mut bytes)?;
    files.push((wanted.to, bytes));
    Ok(())
}

fn lacks(wanted: &Wanted) -> Failure {
    Failure::Environment(format!(
        "Debian's package {} has no file {}; the comparison needs the packages of Debian 12 for amd64",
        wanted.package, wanted.mark
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_the_wanted_files_whatever_their_full_version() {
        let wanted: Vec<_> = WANTED.iter().filter(|wanted| wanted.package == "libiperf0").collect();
        let mut files = Vec::new();
        for path in ["./usr/lib/x86_64-linux-gnu/libiperf.so.0.0.0", "./usr/share/doc/libiperf0/copyright"] {
            take_if_wanted(&wanted, path, &mut &b"abc"[..], &mut files).unwrap();
        }
        assert_eq!(files, [("lib/libiperf.so.0", b"abc".to_vec())]);
    }

    #[test]
    fn names_each_package_once() {
        assert_eq!(packages().len(), 6);
        assert_eq!(packages()[0], "busybox-static");
    }
}
