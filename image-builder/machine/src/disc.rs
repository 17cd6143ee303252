//! The bootable disc: kernel and system image on an ISO file system, with GRUB to load them.
//!
//! Nothing on it tells when, where or by whom it was made: equal inputs give equal discs, bit for bit.

use std::{fs, io, ops::Range, path::Path};

use object::{
    LittleEndian,
    elf::{FileHeader64, SectionHeader64},
    read::elf::{FileHeader, ProgramHeader},
};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use crate::{
    Failure,
    cargo_build::machine_fault,
    interrupts::Interrupts,
    process::{self, Finished},
    scratch::Scratch,
    tools,
};

/// GRUB's modules that the disc needs. Those that they rest on come with them.
const MODULES: &str = "multiboot2 normal serial terminal terminfo echo reboot";
/// Those that a disc with a menu needs.
const MENU_MODULES: &str = "multiboot2 normal serial terminal terminfo echo reboot smbios test read";
/// The time of everything on the disc. It also is what GRUB looks for to tell the disc from others.
pub(crate) const TIME: &str = "2025010100000000";
/// Names in the folder in which a disc is made: what goes onto it, and the disc.
const TREE: &str = "tree";
const NEW_DISC: &str = "disc.iso";

/// The firmware that starts the machine, and what it finds on the disc.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Firmware {
    /// A BIOS, and GRUB.
    Bios,
    /// UEFI, and GRUB.
    Uefi,
    /// UEFI, and the loader of this project, which measures what it loads.
    Efi,
}

impl Firmware {
    /// Where GRUB keeps its modules for it.
    pub(crate) const fn grub_modules(self) -> &'static str {
        match self {
            Self::Bios => "/usr/lib/grub/i386-pc",
            Self::Uefi | Self::Efi => "/usr/lib/grub/x86_64-efi",
        }
    }

    /// Whether it is UEFI.
    #[must_use]
    pub const fn is_uefi(self) -> bool {
        !matches!(self, Self::Bios)
    }

    /// The tools that the host needs for it beside those for every disc.
    #[must_use]
    pub const fn tools(self) -> &'static [tools::Tool] {
        match self {
            Self::Bios => &[],
            Self::Uefi => tools::UEFI,
            Self::Efi => tools::EFI,
        }
    }
}

/// The content of a disc.
#[derive(Debug, Clone, Copy)]
pub struct Contents<'a> {
    /// The kernel: an ELF file.
    pub kernel: &'a [u8],
    /// The systems that can be started: more than one make a menu.
    pub systems: &'a [OnDisc<'a>],
    /// The machine's serial port, on which GRUB complains; 0: none.
    pub serial_port: u16,
    /// The firmware that starts it.
    pub firmware: Firmware,
}

/// A system on a disc.
#[derive(Debug, Clone, Copy)]
pub struct OnDisc<'a> {
    /// What it is called in a menu: visible ASCII without quotes.
    pub title: &'a str,
    /// What its file is called, and how it is chosen ([`ENTRY_PREFIX`]).
    pub name: &'a str,
    /// The system image.
    pub image: &'a [u8],
}

/// What stands before the name of the system that a machine is to start, in the text that QEMU gives it as its first OEM
/// string.
pub const ENTRY_PREFIX: &str = "cloison.entry.";

/// The name of a disc's only system.
pub const ONLY_SYSTEM: &str = "system";

/// Writes the disc, unless `disc` was made of the same contents already. Returns whether it was written.
///
/// # Errors
///
/// When GRUB's tools fail or a file cannot be written.
pub fn write(disc: &Path, contents: Contents<'_>, interrupts: &Interrupts) -> Result<bool, Failure> {
    let digest = contents.digest();
    let note = disc.with_extension("iso.inputs");
    if disc.is_file() && fs::read_to_string(&note).is_ok_and(|made_of| made_of == digest) {
        return Ok(false);
    }
    let folder = disc.parent().unwrap_or(Path::new("."));
    let scratch = Scratch::new(folder)?;
    contents.lay_out(&scratch.path().join(TREE).join("boot"))?;
    let new = scratch.path().join(NEW_DISC);
    make(scratch.path(), contents, interrupts)?;
    // Never a new disc beside an old note, whatever stops this halfway.
    match fs::remove_file(&note) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Failure::file("cannot remove", &note, &error));
        }
        _ => {}
    }
    fs::rename(&new, disc).map_err(|error| Failure::file("cannot write", disc, &error))?;
    write_file(&note, digest.as_bytes())?;
    Ok(true)
}

impl Contents<'_> {
    /// What GRUB does when the machine starts. A disc with one system has no menu. What it cannot load it complains about
    /// in plain text, and then gives up.
    fn grub_config(&self) -> String {
        let terminal = grub_terminal(self.serial_port);
        match self.systems {
            [only] => terminal + &only.boot(),
            several => terminal + &self.menu(several),
        }
    }

    /// A menu that a person sees, unless the machine says which system is meant. A serial line gets plain text: GRUB's own
    /// menu needs a terminal that can be driven.
    fn menu(&self, systems: &[OnDisc<'_>]) -> String {
        let mut config = "smbios --type 11 --get-string 4 --set entry\n".to_owned();
        for OnDisc { name, .. } in systems {
            config += &format!("if [ \"$entry\" = {ENTRY_PREFIX}{name} ]; then set chosen={name}; fi\n");
        }
        if self.serial_port == 0 {
            config += "if [ -n \"$chosen\" ]; then set default=\"$chosen\"; set timeout=0; else set timeout=10; fi\n";
            let entries = systems.iter().map(|system| {
                format!("menuentry '{}' --id {} {{\n{}}}\n", system.title, system.name, system.boot())
            });
            return config + &entries.collect::<String>();
        }
        let lines: String = (1..)
            .zip(systems)
            .map(|(number, system)| {
                format!("echo 'grub | {number}  {:<16}  {}'\n", system.name, system.title)
            })
            .collect();
        let ask = format!(
            "while [ -z \"$chosen\" ]; do\n{lines}echo 'grub | type a number and Enter'\n\
             terminal_input serial\nread number\n"
        );
        config += &ask;
        for (number, OnDisc { name, .. }) in (1..).zip(systems) {
            config += &format!("if [ \"$number\" = {number} ]; then set chosen={name}; fi\n");
        }
        config += "done\n";
        for system in systems {
            config += &format!("if [ \"$chosen\" = {} ]; then\n{}fi\n", system.name, system.boot());
        }
        config
    }

    const fn modules(&self) -> &'static str {
        if self.systems.len() > 1 { MENU_MODULES } else { MODULES }
    }

    /// A digest of all of it.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for part in [
            self.firmware.grub_modules().as_bytes(),
            self.modules().as_bytes(),
            self.grub_config().as_bytes(),
            self.kernel,
        ]
        .into_iter()
        .chain(self.systems.iter().map(|system| system.image))
        {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Lays out the files.
    fn lay_out(&self, boot: &Path) -> Result<(), Failure> {
        let grub = boot.join("grub");
        fs::create_dir_all(&grub).map_err(|error| Failure::file("cannot make", &grub, &error))?;
        write_file(&boot.join("kernel.elf"), self.kernel)?;
        for system in self.systems {
            write_file(&boot.join(format!("{}.img", system.name)), system.image)?;
        }
        write_file(&grub.join("grub.cfg"), self.grub_config().as_bytes())
    }
}

impl<'a> OnDisc<'a> {
    /// The only system of a disc.
    #[must_use]
    pub const fn only(image: &'a [u8]) -> Self {
        Self { title: "", name: ONLY_SYSTEM, image }
    }

    /// How GRUB starts it, or says that it cannot.
    fn boot(&self) -> String {
        grub_boot("/boot/kernel.elf", &format!("/boot/{}.img", self.name))
    }
}

/// How GRUB speaks: by a serial port, if there is one.
pub(crate) fn grub_terminal(serial_port: u16) -> String {
    match serial_port {
        0 => String::new(),
        port => format!("serial --port={port:#x}\nterminfo serial dumb\nterminal_output serial\n"),
    }
}

/// How GRUB starts a system, or says that it cannot.
pub(crate) fn grub_boot(kernel: &str, image: &str) -> String {
    format!(
        "if multiboot2 {kernel}; then if module2 {image}; then boot; fi; fi\n\
         echo 'grub | cannot load the system, see above'\n\
         reboot\n"
    )
}

/// Writes a file so that it holds either its old or its new content, whatever happens.
///
/// # Errors
///
/// When it cannot be written.
pub fn write_file(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let write = || {
        let folder = path.parent().unwrap_or(Path::new("."));
        let mut file = NamedTempFile::new_in(folder)?;
        std::io::Write::write_all(&mut file, content)?;
        fs::set_permissions(file.path(), std::os::unix::fs::PermissionsExt::from_mode(0o644))?;
        file.persist(path).map_err(|error| error.error)
    };
    write().map(drop).map_err(|error| Failure::file("cannot write", path, &error))
}

/// The kernel without symbols and debug information, which the boot loader would carry into memory. The loaded
/// segments are left unchanged, and one empty section header is put behind them: GRUB 2.12 refuses a file that has
/// no section table. `None` if this is no 64-bit ELF file.
#[must_use]
pub fn without_sections(elf: &[u8]) -> Option<Vec<u8>> {
    const TABLE_OFFSET: Range<usize> = 0x28..0x30;
    /// Bytes of an entry, entries, and which entry names the sections: none.
    const TABLE_SHAPE: Range<usize> = 0x3a..0x40;
    const ENTRY_BYTES: u8 = size_of::<SectionHeader64<LittleEndian>>() as u8;
    let header = FileHeader64::<LittleEndian>::parse(elf).ok()?;
    let segments = header.program_headers(LittleEndian, elf).ok()?;
    let table = header.e_phoff(LittleEndian).checked_add(size_of_val(segments) as u64)?;
    let end = segments.iter().try_fold(table, |end, segment| {
        let (offset, bytes) = segment.file_range(LittleEndian);
        Some(end.max(offset.checked_add(bytes)?))
    })?;
    let mut stripped = elf.get(..usize::try_from(end).ok()?)?.to_vec();
    let section_table = stripped.len().next_multiple_of(size_of::<u64>());
    stripped.resize(section_table + usize::from(ENTRY_BYTES), 0);
    stripped.get_mut(TABLE_OFFSET)?.copy_from_slice(&(section_table as u64).to_le_bytes());
    stripped.get_mut(TABLE_SHAPE)?.copy_from_slice(&[ENTRY_BYTES, 0, 1, 0, 0, 0]);
    Some(stripped)
}

/// Runs GRUB's tool, which gathers its modules and has xorriso write the disc. All its paths are relative: xorriso
/// cuts them at `=`.
fn make(folder: &Path, contents: Contents<'_>, interrupts: &Interrupts) -> Result<(), Failure> {
    let mut command = process::command(&tools::path(tools::GRUB)?);
    command
        .current_dir(folder)
        // Its own temporary files, too, belong where they are cleaned up with the rest.
        .env("TMPDIR", ".")
        .args(["--directory", contents.firmware.grub_modules(), "--install-modules", contents.modules()])
        .args(["--locales=", "--fonts=", "--themes=", "--output"])
        .args([NEW_DISC, TREE])
        .args(["-volid", "CLOISON", "--set_all_file_dates", TIME])
        .arg(format!("--modification-date={TIME}"));
    let finished = process::run(&mut command, "grub-mkrescue", interrupts, &mut |_| ())?;
    if finished.status.success() && folder.join(NEW_DISC).is_file() {
        return Ok(());
    }
    Err(refusal(&finished))
}

/// A tool has not written a disc.
pub(crate) fn refusal(finished: &Finished) -> Failure {
    let said = || machine_fault(&finished.text).unwrap_or_else(|| finished.complaint()).to_owned();
    let reason = lack_of_room(&finished.text).unwrap_or_else(said);
    Failure::Environment(format!("cannot write the bootable disc: {reason}"))
}

/// What xorriso says of a disc that does not fit where it is to be written, in its own sectors. The tool that has
/// started it only says afterwards that it has failed.
fn lack_of_room(text: &str) -> Option<String> {
    const SECTOR_KIB: u64 = 2;
    let (before, after) = text.split_once("s exceeds free space on media ")?;
    let needed: u64 = before.rsplit(' ').next()?.parse().ok()?;
    let free: u64 = after.split('s').next()?.parse().ok()?;
    let [needed, free] = [needed, free].map(|sectors| sectors.saturating_mul(SECTOR_KIB));
    Some(format!("no space left on device: it needs {needed} KiB, {free} KiB are free"))
}

#[cfg(test)]
mod tests {
    use std::{os::unix::process::ExitStatusExt, process::ExitStatus};

    use super::*;

    /// An ELF header and one program header that covers `loaded` bytes, and something behind it.
    fn elf(loaded: u64) -> Vec<u8> {
        let mut file = vec![0; 0x78];
        file[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        file[0x20..0x28].copy_from_slice(&0x40_u64.to_le_bytes());
        file[0x28..0x30].copy_from_slice(&0x80_u64.to_le_bytes());
        file[0x36..0x3e].copy_from_slice(&[0x38, 0, 1, 0, 0x40, 0, 7, 0]);
        file[0x60..0x68].copy_from_slice(&loaded.to_le_bytes());
        file.extend(*b"segment sections");
        file
    }

    #[test]
    fn drops_what_lies_behind_the_last_segment() {
        let stripped = without_sections(&elf(0x78 + 7)).unwrap();
        assert_eq!(stripped[0x78..0x80], *b"segment\0");
        assert_eq!(stripped[0x28..0x30], 0x80_u64.to_le_bytes());
        assert_eq!(stripped[0x38..0x40], [1, 0, 0x40, 0, 1, 0, 0, 0]);
        assert_eq!(stripped[0x80..], [0; 0x40]);
    }

    #[test]
    fn refuses_what_is_cut_short_or_no_elf() {
        assert!(without_sections(&elf(1 << 40)).is_none());
        assert!(without_sections(&elf(u64::MAX)).is_none());
        assert!(without_sections(&elf(0x78)[..0x50]).is_none());
        assert!(without_sections(b"#!/bin/sh").is_none());
    }

    #[test]
    fn a_disc_that_does_not_fit_says_so() {
        let finished = Finished {
            status: ExitStatus::from_raw(1 << 8),
            text: "xorriso : FAILURE : Image size 5331s exceeds free space on media 750s\n\
                   libisofs: MISHAP : Image write cancelled\n\
                   grub-mkrescue: error: `xorriso` invocation failed\n"
                .to_owned(),
        };
        let expected =
            "cannot write the bootable disc: no space left on device: it needs 10662 KiB, 1500 KiB are free";
        assert_eq!(refusal(&finished).to_string(), expected);
        let other = Finished { text: "grub-mkrescue: error: no modules\n".to_owned(), ..finished };
        assert!(refusal(&other).to_string().ends_with(": grub-mkrescue: error: no modules"));
    }

    #[test]
    fn a_disc_of_other_parts_is_another_disc() {
        let of = |kernel, image, serial_port, firmware| {
            Contents { kernel, systems: &[OnDisc::only(image)], serial_port, firmware }.digest()
        };
        let digest = |kernel, image, serial_port| of(kernel, image, serial_port, Firmware::Bios);
        assert_ne!(digest(b"ab", b"c", 0), digest(b"a", b"bc", 0));
        assert_ne!(digest(b"ab", b"c", 0), digest(b"ab", b"c", 0x3f8));
        assert_eq!(digest(b"ab", b"c", 0x3f8), digest(b"ab", b"c", 0x3f8));
        assert_ne!(digest(b"ab", b"c", 0), of(b"ab", b"c", 0, Firmware::Uefi));
    }

    #[test]
    fn a_menu_names_each_system_and_boots_the_one_that_is_chosen() {
        let systems = [
            OnDisc { title: "STPM test", name: "stpm", image: b"a" },
            OnDisc { title: "BMI test", name: "bmi", image: b"b" },
        ];
        let config = |serial_port, systems| {
            Contents { kernel: b"k", systems, serial_port, firmware: Firmware::Bios }.grub_config()
        };
        for (serial_port, line) in
            [(0x3f8, "2  bmi               BMI test'"), (0, "menuentry 'BMI test' --id bmi {")]
        {
            let menu = config(serial_port, &systems);
            assert!(menu.contains(line), "{menu}");
            assert!(menu.contains("\"$entry\" = cloison.entry.bmi ]; then set chosen=bmi"), "{menu}");
            assert_eq!(menu.matches("module2 /boot/bmi.img").count(), 1, "{menu}");
        }
        let only = config(0x3f8, &[OnDisc::only(b"a")]);
        assert!(only.contains("module2 /boot/system.img") && !only.contains("smbios"), "{only}");
    }
}
