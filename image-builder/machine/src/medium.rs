//! A disc with the loader of this project, for UEFI alone or for machines of both kinds: then a BIOS starts GRUB from it.
//!
//! Kernel and image are on it once, on a volume that both read. Nothing on it tells when, where or by whom it was made.

use std::{fs, path::Path};

use crate::{
    Failure,
    disc::{self, Firmware, TIME},
    fat,
    interrupts::Interrupts,
    partition::{self, Grub},
    process,
    scratch::Scratch,
    tools,
};

/// GRUB's modules for a disc of each form: it reads the volume, and loads the system.
const MODULES: &str = "biosdisk fat multiboot2 normal serial terminal terminfo echo reboot test";
const ISO_MODULES: &str = "iso9660 loopback";
const GPT_MODULES: &str = "part_gpt";
/// GRUB for a disc that its first sector starts, by the names that the host has.
const BOOT_SECTOR: &str = "boot.img";
/// Names in the folder in which a disc is made, and on the volume.
const TREE: &str = "tree";
const VOLUME: &str = "efi.img";
const CORE: &str = "core.img";
const NEW: &str = "new";
const FOLDER: &str = "grub";

/// The form of a disc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A disc in a drive, or one that a server's management gives a machine.
    Iso,
    /// A stick, or a disk.
    Raw,
    /// A disk of a machine in a cloud.
    Qcow2,
}

impl Form {
    /// Its name, which also is what its file's name ends with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Iso => "iso",
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }

    /// The tools that writing one needs beside those of every build.
    #[must_use]
    pub const fn tools(self) -> &'static [tools::Tool] {
        match self {
            Self::Iso | Self::Raw => &[tools::GRUB_IMAGE],
            Self::Qcow2 => &[tools::GRUB_IMAGE, tools::QEMU_IMG],
        }
    }
}

/// What is on a disc.
#[derive(Debug, Clone, Copy)]
pub struct Content<'a> {
    /// The loader of this project.
    pub loader: &'a [u8],
    /// The kernel: an ELF file.
    pub kernel: &'a [u8],
    /// The system image.
    pub image: &'a [u8],
    /// What the loader has to find of both.
    pub listing: &'a str,
    /// The machine's serial port, on which GRUB complains; 0: none.
    pub serial_port: u16,
}

/// Writes a disc.
///
/// # Errors
///
/// When a tool fails, the system is too large for such a disc, or a file cannot be written.
pub fn write(path: &Path, form: Form, content: Content<'_>, interrupts: &Interrupts) -> Result<(), Failure> {
    let scratch = Scratch::new(path.parent().unwrap_or(Path::new(".")))?;
    let maker = Maker { folder: scratch.path(), content, interrupts };
    match form {
        Form::Iso => maker.iso()?,
        Form::Raw => maker.raw()?,
        Form::Qcow2 => maker.qcow2()?,
    }
    let new = scratch.path().join(NEW);
    fs::rename(&new, path).map_err(|error| Failure::file("cannot write", path, &error))
}

/// Writes the disc that UEFI firmware alone starts, the loader of this project.
///
/// # Errors
///
/// When kernel and image are too large, or the file cannot be written.
pub fn write_efi(path: &Path, content: Content<'_>) -> Result<(), Failure> {
    let volume = volume(content, &[])?;
    let bytes = partition::with_old_table(&volume).ok_or_else(|| too_large("no table names it"))?;
    if fs::read(path).is_ok_and(|old| old == bytes) { Ok(()) } else { disc::write_file(path, &bytes) }
}

/// The volume that the loader reads, and what else is on it.
fn volume(content: Content<'_>, other: &[(&str, &[u8])]) -> Result<Vec<u8>, Failure> {
    let files = [
        ("EFI/BOOT/BOOTX64.EFI", content.loader),
        ("cloison/kernel.elf", content.kernel),
        ("cloison/system.img", content.image),
        ("cloison/measured.txt", content.listing.as_bytes()),
    ];
    fat::volume(&[&files, other].concat()).map_err(|error| too_large(&error.to_string()))
}

/// Kernel and image do not fit.
fn too_large(why: &str) -> Failure {
    Failure::Failed(format!("kernel and image are too large for a disc of UEFI firmware: {why}"))
}

/// Makes a disc in a folder.
struct Maker<'a> {
    folder: &'a Path,
    content: Content<'a>,
    interrupts: &'a Interrupts,
}

impl Maker<'_> {
    /// A disc in a drive, with the volume as a file that firmware is told of.
    fn iso(&self) -> Result<(), Failure> {
        let tree = self.folder.join(TREE);
        let grub = tree.join(FOLDER);
        fs::create_dir_all(&grub).map_err(|error| Failure::file("cannot make", &grub, &error))?;
        disc::write_file(&tree.join(VOLUME), &volume(self.content, &[])?)?;
        let config = self.grub_config(&format!("loopback volume /{VOLUME}\n"), "(volume)");
        disc::write_file(&grub.join("grub.cfg"), config.as_bytes())?;
        let core = format!("{TREE}/{FOLDER}/{CORE}");
        self.grub_image("i386-pc-eltorito", &format!("/{FOLDER}"), &[MODULES, ISO_MODULES].join(" "), &core)?;
        // All names are this file's own, without blanks. A source behind `=` may lie in a folder that has one in its name.
        // Without a preparer, xorriso names itself with its version.
        let whole = format!("-as mkisofs -quiet -o {NEW} -V CLOISON -p CLOISON --modification-date={TIME}");
        let dates = format!("--set_all_file_dates {TIME}");
        let bios =
            format!("-b {FOLDER}/{CORE} -no-emul-boot -boot-load-size 4 -boot-info-table --grub2-boot-info");
        let uefi = format!("-eltorito-alt-boot -e {VOLUME} -no-emul-boot");
        let options = [whole, dates, bios, uefi, format!("-graft-points /={TREE}")].join(" ");
        self.run(tools::XORRISO, &options.split(' ').collect::<Vec<_>>())
    }

    /// A stick.
    fn raw(&self) -> Result<(), Failure> {
        let config = self.grub_config("", "");
        let name = format!("{FOLDER}/grub.cfg");
        let volume = volume(self.content, &[(&name, config.as_bytes())])?;
        // The volume is the second partition.
        let prefix = format!("(,gpt2)/{FOLDER}");
        self.grub_image("i386-pc", &prefix, &[MODULES, GPT_MODULES].join(" "), CORE)?;
        let read = |path: &Path| fs::read(path).map_err(|error| Failure::file("cannot read", path, &error));
        let boot = read(&Path::new(Firmware::Bios.grub_modules()).join(BOOT_SECTOR))?;
        let grub = Grub { boot, core: read(&self.folder.join(CORE))? };
        let disc = partition::with_gpt(&volume, &grub).ok_or_else(|| {
            Failure::Environment("this machine's GRUB is of a form that is not known".into())
        })?;
        disc::write_file(&self.folder.join(NEW), &disc)
    }

    /// A stick in QEMU's form.
    fn qcow2(&self) -> Result<(), Failure> {
        const RAW: &str = "raw";
        self.raw()?;
        let (new, raw) = (self.folder.join(NEW), self.folder.join(RAW));
        fs::rename(&new, &raw).map_err(|error| Failure::file("cannot write", &raw, &error))?;
        // One at a time, or the order in which parts are written is anybody's guess.
        self.run(tools::QEMU_IMG, &["convert", "-m", "1", "-f", "raw", "-O", "qcow2", RAW, NEW])
    }

    /// What GRUB does: see [`disc`].
    fn grub_config(&self, before: &str, volume: &str) -> String {
        let (kernel, image) =
            (format!("{volume}/cloison/kernel.elf"), format!("{volume}/cloison/system.img"));
        disc::grub_terminal(self.content.serial_port) + before + &disc::grub_boot(&kernel, &image)
    }

    /// Has GRUB's tool put a GRUB together.
    fn grub_image(&self, kind: &str, prefix: &str, modules: &str, output: &str) -> Result<(), Failure> {
        let folder = Firmware::Bios.grub_modules();
        let options = ["--directory", folder, "--format", kind, "--prefix", prefix, "--output", output];
        let modules: Vec<&str> = modules.split(' ').collect();
        self.run(tools::GRUB_IMAGE, &[&options[..], &modules].concat())
    }

    /// Runs a tool in the folder: all paths are relative, or the host's own.
    fn run(&self, tool: tools::Tool, arguments: &[&str]) -> Result<(), Failure> {
        let mut command = process::command(&tools::path(tool)?);
        command.current_dir(self.folder).args(arguments);
        let finished = process::run(&mut command, tool.name, self.interrupts, &mut |_| ())?;
        if finished.status.success() { Ok(()) } else { Err(disc::refusal(&finished)) }
    }
}
