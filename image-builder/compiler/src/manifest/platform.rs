//! A platform's file: the facts about a machine that a system may rest on.

use cloison_abi::PciFunction;

use super::reader::Reader;
use crate::diagnostic::At;

/// Class of a network card, which an uplink needs.
pub const NETWORK_CARD: &str = "virtio-net";

/// Class of the log of what was measured, which is no device of the machine's but the boot loader's, and has one reader.
pub const BOOT_LOG: &str = "boot-log";

/// A machine.
#[derive(Debug, Clone)]
#[allow(missing_docs, reason = "the fields' names say what they are")]
pub struct Platform {
    /// Its name, which is that of its file.
    pub name: String,
    pub memory_mib: u64,
    /// What its file says of that, if another size was asked for.
    pub replaced: Option<Replaced>,
    /// Where the kernel writes its log while nobody owns the serial port; 0: nowhere.
    pub serial_port: u16,
    /// Where a byte written ends an emulator's run; 0: nowhere.
    pub exit_port: u16,
    /// Arguments for QEMU that make this machine.
    pub qemu: Vec<String>,
    pub devices: Vec<Device>,
}

/// The size of memory that a platform's file states, where it does not count.
#[derive(Debug, Clone, Copy)]
pub struct Replaced {
    /// That size, in MiB.
    pub stated_mib: u64,
    /// Who asked for another one.
    pub by: AskedBy,
}

/// Who asked for a size of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AskedBy {
    /// The system's manifest.
    Manifest,
    /// The user, by an option.
    Option,
}

/// A device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its name.
    pub name: At<String>,
    /// What kind it is; a component asks for a class, not for a device.
    pub class: At<String>,
    /// Its PCI function, if it is on that bus. Its page of PCI's configuration space is a part of the device, too; where that
    /// lies is found at boot.
    pub pci: Option<At<PciFunction>>,
    /// Its registers in memory at places that the platform knows, one area after the other.
    pub memory: Vec<DeviceMemory>,
    /// Its I/O ports.
    pub ports: Option<DevicePorts>,
    /// Its interrupt.
    pub irq: Option<Irq>,
    /// Whether nothing is connected to it: all of it is in the machine.
    pub is_enclosed: bool,
    /// Arguments for QEMU that make the device, for machines that do not have it anyway.
    pub qemu: Vec<String>,
}

/// An area of registers in memory.
#[derive(Debug, Clone)]
pub struct DeviceMemory {
    /// Physical address of the first.
    pub address: At<u64>,
    /// How many bytes.
    pub bytes: At<u64>,
}

/// I/O ports.
#[derive(Debug, Clone)]
pub struct DevicePorts {
    /// The first.
    pub first: At<u64>,
    /// How many.
    pub count: At<u64>,
}

/// How a device interrupts.
#[derive(Debug, Clone)]
pub enum Irq {
    /// By a line.
    Line(IrqLine),
    /// By a message, which its driver tells it to write. The plan gives out the number.
    Message,
}

/// An interrupt line.
#[derive(Debug, Clone)]
pub struct IrqLine {
    /// Which.
    pub line: At<u64>,
    /// When it counts as raised.
    pub trigger: Trigger,
    /// Whether low means raised.
    pub is_active_low: bool,
}

/// When an interrupt line counts as raised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// When it changes.
    Edge,
    /// As long as it is so.
    Level,
}

impl Platform {
    /// Arguments for QEMU that make this machine.
    #[must_use]
    pub fn qemu(&self) -> &[String] {
        &self.qemu
    }

    /// Its memory, in MiB.
    #[must_use]
    pub fn memory_mib(&self) -> u64 {
        self.memory_mib
    }

    /// Gives the machine as much memory as was asked for.
    pub(super) fn replace_memory(&mut self, asked_mib: u64, by: AskedBy) {
        let stated_mib = self.replaced.map_or(self.memory_mib, |replaced| replaced.stated_mib);
        self.replaced = Some(Replaced { stated_mib, by });
        self.memory_mib = asked_mib;
    }

    /// Where the size of its memory is stated, for proposals.
    pub(crate) fn memory_key(&self) -> &'static str {
        match self.replaced.map(|replaced| replaced.by) {
            None => "memory_mib of the platform",
            Some(AskedBy::Manifest) => "memory_mib of the system",
            Some(AskedBy::Option) => "--memory",
        }
    }

    /// What was written to ask for another size than its own, and its own.
    pub(crate) fn asked(&self) -> Option<(String, u64)> {
        let Replaced { stated_mib, by } = self.replaced?;
        let size = self.memory_mib;
        let written = match by {
            AskedBy::Manifest => format!("`memory_mib = {size}`"),
            AskedBy::Option => format!("`--memory {size}`"),
        };
        Some((written, stated_mib))
    }

    pub(super) fn read(name: &str, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let mut platform = Self {
            name: name.to_owned(),
            memory_mib: 0,
            replaced: None,
            serial_port: 0,
            exit_port: 0,
            qemu: Vec::new(),
            devices: Vec::new(),
        };
        reader.required_table("machine", |machine| {
            platform.memory_mib = machine.required_number("memory_mib").map_or(0, |mib| mib.value);
            platform.serial_port = port(machine, "serial_port");
            platform.exit_port = port(machine, "exit_port");
            platform.qemu = machine.texts("qemu").into_iter().map(|argument| argument.value).collect();
        });
        platform.devices =
            reader.entries("device", |name, item| item.table(|table| Device::read(name, table))?);
        Some(platform)
    }
}

fn port(reader: &mut Reader<'_, '_>, key: &'static str) -> u16 {
    let Some(number) = reader.number(key) else { return 0 };
    u16::try_from(number.value).unwrap_or_else(|_| {
        reader.refuse(key, number.span, "a port below 0x10000", format!("{:#x}", number.value));
        0
    })
}

impl Device {
    /// How many regions its registers in memory are: one for each area, and its configuration page.
    pub(crate) fn register_regions(&self) -> usize {
        self.memory.len() + usize::from(self.pci.is_some())
    }

    fn read(name: At<String>, reader: &mut Reader<'_, '_>) -> Option<Self> {
        let class = reader.required_text("class");
        let pci = pci_function(reader);
        let memory = reader.tables("memory", |memory| {
            let (address, bytes) = (memory.required_number("address"), memory.required_number("bytes"));
            Some(DeviceMemory { address: address?, bytes: bytes? })
        });
        let ports = reader.table("ports", |ports| {
            let (first, count) = (ports.required_number("first"), ports.required_number("count"));
            Some(DevicePorts { first: first?, count: count? })
        });
        let irq = reader.table("irq", Irq::read);
        Some(Self {
            name,
            class: class?,
            pci,
            memory,
            ports: ports.flatten(),
            irq: irq.flatten(),
            is_enclosed: reader.flag("enclosed"),
            qemu: reader.texts("qemu").into_iter().map(|argument| argument.value).collect(),
        })
    }
}

/// A PCI function, as Linux and QEMU write it: `00:03.0`.
fn pci_function(reader: &mut Reader<'_, '_>) -> Option<At<PciFunction>> {
    let At { value, span } = reader.text("pci")?;
    let Some(function) = parse_pci_function(&value) else {
        reader.refuse("pci", span, "a PCI function such as \"00:03.0\"", format!("the text {value:?}"));
        return None;
    };
    Some(At { value: function, span })
}

fn parse_pci_function(text: &str) -> Option<PciFunction> {
    let (bus, rest) = text.split_once(':')?;
    let (device, function) = rest.split_once('.')?;
    let number = |text: &str, digits: usize, end: u16| {
        let is_hex = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        u16::from_str_radix(text, 16).ok().filter(|number| is_hex && *number < end)
    };
    let (bus, device, function) = (number(bus, 2, 0x100)?, number(device, 2, 0x20)?, number(function, 1, 8)?);
    Some(PciFunction::new(bus << 8 | device << 3 | function))
}

impl Irq {
    /// `{ message = true }`, or a line.
    fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        if reader.flag("message") { Some(Self::Message) } else { IrqLine::read(reader).map(Self::Line) }
    }
}

impl IrqLine {
    fn read(reader: &mut Reader<'_, '_>) -> Option<Self> {
        let line = reader.required_number("line");
        let trigger = reader.text("trigger");
        let is_level = choice(reader, "trigger", trigger, ["edge", "level"]);
        let active = reader.text("active");
        let is_active_low = choice(reader, "active", active, ["high", "low"]);
        let trigger = if is_level { Trigger::Level } else { Trigger::Edge };
        Some(Self { line: line?, trigger, is_active_low })
    }
}

/// Whether the second of two words was chosen; the first is the default.
fn choice(reader: &mut Reader<'_, '_>, key: &str, written: Option<At<String>>, words: [&str; 2]) -> bool {
    let Some(At { value, span }) = written else { return false };
    if !words.contains(&value.as_str()) {
        let expected = format!("\"{}\" or \"{}\"", words[0], words[1]);
        reader.refuse(key, span, expected, format!("the text {value:?}"));
    }
    value == words[1]
}
