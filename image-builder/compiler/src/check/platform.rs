//! The machine's facts that cannot be: what would show at boot only, without a name.

use cloison_abi::limits::PAGE_BYTES;

use crate::diagnostic::Diagnostic;
use crate::manifest::{Device, DeviceMemory, NETWORK_CARD, Platform};
use crate::system::Draft;

/// Class of what frames are recorded by.
const RECORDER: &str = "virtio-console";
/// Class of disks.
const DISK: &str = "virtio-blk";
/// Below this the firmware of a PC has its own memory and devices.
const FIRST_DEVICE_ADDRESS: u64 = 0x10_0000;
/// Memory reaches at least as far, if there is as much: QEMU's q35 leaves more room for devices only to larger
/// machines.
const MEMORY_END: u64 = 0x8000_0000;
/// The interrupt controllers, where every PC has them: I/O APIC and local APIC (Intel SDM 3A, 11.4.1 and 11.12).
const CONTROLLERS: [(&str, u64); 2] = [("the I/O APIC", 0xfec0_0000), ("the local APIC", 0xfee0_0000)];
/// Ports of QEMU's `isa-debug-exit`.
const EXIT_PORTS: u64 = 4;
/// Memory of a machine, in MiB: GRUB needs as much to load the smallest system, and QEMU is not asked for more than
/// 1 TiB.
const MEMORY_MIB: std::ops::RangeInclusive<u64> = 4..=1 << 20;

pub(super) fn device_in_memory(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform else { return Vec::new() };
    let areas =
        platform.devices.iter().flat_map(|device| device.memory.iter().map(move |area| (device, area)));
    areas.filter_map(|(device, area)| misplaced(platform, device, area)).collect()
}

/// The kernel gives no domain such pages.
fn misplaced(platform: &Platform, device: &Device, area: &DeviceMemory) -> Option<Diagnostic> {
    let (first, end) = (area.address.value, area.address.value.saturating_add(area.bytes.value));
    // That there is no such area at all is another check's.
    if first == 0 || end == first {
        return None;
    }
    let mib = platform.memory_mib;
    let memory_end = mib.saturating_mul(1 << 20).min(MEMORY_END);
    let controller = CONTROLLERS.iter().find(|(_, page)| first < page + PAGE_BYTES && *page < end);
    let (reason, help) = if first < FIRST_DEVICE_ADDRESS {
        let help = format!("give an address from {FIRST_DEVICE_ADDRESS:#x} on");
        (format!("below {FIRST_DEVICE_ADDRESS:#x}, where the firmware is"), help)
    } else if first < memory_end {
        let help = format!("give an address from {memory_end:#x} on, or correct {}", platform.memory_key());
        (format!("in the machine's memory, which ends at {memory_end:#x} ({mib} MiB)"), help)
    } else if let Some((name, page)) = controller {
        (format!("where {name} is, {page:#x}"), "give the device's own address".to_owned())
    } else {
        return None;
    };
    let message = format!(
        "`{}` has registers at {first:#x} to {:#x}, {reason}",
        device.name.value,
        end.saturating_sub(1)
    );
    Some(Diagnostic::new(area.address.span, message).help(help))
}

/// Their drivers find them by their configuration pages.
pub(super) fn without_function(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let devices = draft.platform.into_iter().flat_map(|platform| &platform.devices);
    let is_virtio = |device: &&Device| [NETWORK_CARD, RECORDER, DISK].contains(&device.class.value.as_str());
    let faults = devices.filter(is_virtio).filter(|device| device.pci.is_none()).map(|device| {
        let (name, class) = (&device.name.value, &device.class.value);
        let message = format!("`{name}` is a {class}, and no PCI function is stated for it");
        let help = "add `pci = \"BUS:DEVICE.FUNCTION\"`, such as \"00:03.0\", as the machine has it";
        Diagnostic::new(device.name.span, message).help(help)
    });
    faults.collect()
}

/// Without the port nobody but the console learns that the system has ended.
pub(super) fn no_exit_port(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let (Some(platform), Some(ends_with)) = (draft.platform, &draft.ends_with) else { return Vec::new() };
    if platform.exit_port != 0 {
        return Vec::new();
    }
    let written = ends_with.written;
    let message = format!(
        "the run cannot end with `{}`: the platform `{}` has no `exit_port`",
        written.value, platform.name
    );
    let fault = Diagnostic::new(written.span, message);
    vec![
        fault.help(
            "remove ends_with, or state the platform's exit_port, such as 0xf4 for QEMU's isa-debug-exit",
        ),
    ]
}

/// QEMU makes a card, a disk or a console only if it is told how, and connects it by its name.
pub(super) fn not_made(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform.filter(|platform| !platform.qemu.is_empty()) else {
        return Vec::new();
    };
    let owned = draft.domains.iter().flat_map(|domain| &domain.devices);
    let mut owned: Vec<&Device> = owned.filter_map(|owned| Some(owned.found?.1)).collect();
    owned.sort_by_key(|device| device.name.span);
    owned.dedup_by_key(|device| device.name.span);
    owned.into_iter().filter_map(|device| unmade(platform, device)).collect()
}

fn unmade(platform: &Platform, device: &Device) -> Option<Diagnostic> {
    let name = &device.name.value;
    let key = match device.class.value.as_str() {
        NETWORK_CARD => "netdev",
        RECORDER => "chardev",
        DISK => "drive",
        _ => return wrong_backend(device),
    };
    if device.qemu.is_empty() {
        let message = format!(
            "the platform `{}` does not say how QEMU makes `{name}`, a {}",
            platform.name, device.class.value
        );
        let help = format!("add `qemu = [\"-device\", \"…,{key}={name}\"]` to the device");
        return Some(Diagnostic::new(device.name.span, message).help(help));
    }
    wrong_backend(device)
}

/// What is behind a device has the device's name.
fn wrong_backend(device: &Device) -> Option<Diagnostic> {
    let name = &device.name.value;
    let mut options = device.qemu.iter().flat_map(|argument| argument.split(','));
    let (key, other) = options.find_map(|option| {
        let (key, value) = option.split_once('=')?;
        (["netdev", "chardev", "drive"].contains(&key) && value != name).then_some((key, value))
    })?;
    let message = format!("the `qemu` line of `{name}` connects it with `{other}`, it must be `{name}`");
    Some(Diagnostic::new(device.name.span, message).help(format!("write `{key}={name}`")))
}

/// A domain with the exit port could end the run, and say how.
pub(super) fn exit_port_taken(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform.filter(|platform| platform.exit_port != 0) else { return Vec::new() };
    let (exit, end) = (u64::from(platform.exit_port), u64::from(platform.exit_port) + EXIT_PORTS);
    let devices = platform.devices.iter().filter_map(|device| Some((device, device.ports.as_ref()?)));
    let taken = devices.filter(|(_, ports)| {
        ports.first.value < end && exit < ports.first.value.saturating_add(ports.count.value)
    });
    let faults = taken.map(|(device, ports)| {
        let last = ports.first.value.saturating_add(ports.count.value).saturating_sub(1);
        let message = format!(
            "`{}` has the ports {:#x} to {last:#x}, but {exit:#x} to {:#x} end the run",
            device.name.value,
            ports.first.value,
            end - 1
        );
        Diagnostic::new(ports.first.span, message).help("give the device or exit_port other ports")
    });
    faults.collect()
}

pub(super) fn memory_range(draft: &Draft<'_>) -> Vec<Diagnostic> {
    let Some(platform) = draft.platform.filter(|platform| !MEMORY_MIB.contains(&platform.memory_mib)) else {
        return Vec::new();
    };
    let (machine, size) = (&platform.name, platform.memory_mib);
    let message = match platform.asked() {
        None => format!("the platform `{machine}` cannot have {size} MiB of memory"),
        Some((asked, stated)) => {
            format!("the platform `{machine}` cannot have {asked} in place of its {stated} MiB")
        }
    };
    let (least, most) = (MEMORY_MIB.start(), MEMORY_MIB.end());
    let help = format!("give from {least} to {most} MiB as {}", platform.memory_key());
    let manifest = &draft.inputs.manifest;
    let named = manifest.platform.as_ref().map_or(manifest.start, |name| name.span);
    let at = manifest.memory_mib.as_ref().map_or(named, |stated| stated.span);
    vec![Diagnostic::new(at, message).help(help)]
}
