//! The policy as the builder reads it: a text, and whether it says all that a plan allows.
//!
//! Text and plan are measured apart. A verifier who trusts a policy has to know that the plan allows no more: this is where
//! that is seen to, for what the plan's own tables say. What the settings of a domain tell it is not looked into here: frames
//! of a switch, what a monitor decides and about whom it is asked, what BMI and the TPM's service do for which client.

use alloc::{format, vec::Vec};

use cloison_abi::{
    InterruptSource, Name, ObjectKind, Rights,
    limits::PAGE_BYTES,
    plan::{DeviceEntry, NONE, RegionSource},
};

use crate::{BuildError, Plan, plan::source};

/// The first line of a policy.
const HEAD: &str = "cloison policy 1";

/// A policy: its lines, sorted.
pub struct Policy<'a> {
    lines: Vec<&'a str>,
}

impl<'a> Policy<'a> {
    /// Reads a policy.
    ///
    /// # Errors
    /// [`BuildError::Image`] if it is none, or if its lines are not in order.
    pub fn read(text: &'a [u8]) -> Result<Self, BuildError> {
        let none = BuildError::Image("the policy is none");
        let text = core::str::from_utf8(text).map_err(|_| none)?;
        let lines: Vec<&str> = text.strip_prefix(HEAD).ok_or(none)?.lines().skip(1).collect();
        if lines.is_sorted() { Ok(Self { lines }) } else { Err(none) }
    }

    /// Checks that all that a plan allows is said.
    ///
    /// # Errors
    /// [`BuildError::Policy`] with the first thing that is not; [`BuildError::Image`] if the plan names what is not there.
    pub fn covers(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        named_once(plan)?;
        self.calls(plan)?;
        self.memory(plan)?;
        self.devices(plan)?;
        self.images(plan)?;
        self.rights(plan)
    }

    /// Where a domain has several images, each of them: which one it lives with is chosen while the system runs.
    fn images(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        let chosen = plan.images.iter().filter(|image| plan.images_of(image.domain).nth(1).is_some());
        chosen.into_iter().try_for_each(|image| {
            let (who, whom) = (name(plan, image.domain)?, image.name);
            let line = format!("{who} can be started with {whom}");
            let said = self.find(&line).filter(|found| *found == line);
            said.map(drop).ok_or(BuildError::Policy { who, whom, how: "being started with it" })
        })
    }

    /// Gates, with what is lent through them, and events.
    fn calls(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        for gate in plan.gates {
            let server = plan.domain_of(gate.server)?;
            self.tells(plan, gate.domain, server, "call")?;
            self.tells(plan, server, gate.domain, "call")?;
            if gate.grants > 0 {
                self.tells(plan, gate.domain, server, "loan")?;
            }
        }
        plan.events.iter().try_for_each(|event| {
            let target = plan.domain_of(event.target)?;
            self.tells(plan, event.domain, target, "signal")
        })
    }

    /// Memory that one can write and another can see. Registers are seen by their device's owner alone.
    fn memory(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        let views = views(plan);
        for view in &views {
            let Some(device) = device_of(plan, view.region)? else { continue };
            if device.domain != view.domain {
                let who = name(plan, view.domain)?;
                return Err(BuildError::Policy { who, whom: device.name, how: "its registers" });
            }
        }
        for writer in views.iter().filter(|view| view.is_writable) {
            for reader in
                views.iter().filter(|reader| reader.domain != writer.domain && reader.overlaps(writer))
            {
                self.tells(plan, writer.domain, reader.domain, "memory")?;
            }
        }
        Ok(())
    }

    /// Devices, with their registers, ports and interrupts.
    fn devices(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        for (place, device) in (0..).zip(plan.devices) {
            let who = name(plan, device.domain)?;
            let unsaid = |how| BuildError::Policy { who, whom: device.name, how };
            let line = self.find(&format!("{who} owns {}, ", device.name)).ok_or(unsaid("owning it"))?;
            for page in plan.configuration_pages.iter().filter(|page| page.device == place) {
                let (_, function) = plan.function_of(page.region as usize)?;
                has(line, &format!("pci {function}")).ok_or(unsaid("its configuration page"))?;
            }
            for area in plan.areas.iter().filter(|area| area.device == place) {
                let pages = plan.regions.get(area.region as usize).map_or(0, |region| region.pages);
                let bytes = u64::from(pages) * PAGE_BYTES;
                let part = format!("memory {:#x} {bytes:#x}", area.physical_address);
                has(line, &part).ok_or(unsaid("its registers"))?;
            }
            for range in plan.io_ranges.iter().filter(|range| range.device == place) {
                has(line, &format!("ports {:#x} {}", range.first, range.count)).ok_or(unsaid("its ports"))?;
            }
            for interrupt in plan.interrupts.iter().filter(|interrupt| interrupt.device == place) {
                let source = InterruptSource::from_bits(interrupt.source);
                let part = match source.ok_or(BuildError::Image("the source of an interrupt is unknown"))? {
                    InterruptSource::Line { number, .. } => format!("line {number}"),
                    InterruptSource::Message { .. } => "message".into(),
                };
                has(line, &part).ok_or(unsaid("its interrupt"))?;
            }
        }
        Ok(())
    }

    /// Rights, and whose faults a domain handles.
    fn rights(&self, plan: &Plan<'_>) -> Result<(), BuildError> {
        for right in plan.rights {
            let kind = ObjectKind::from_number(right.kind).ok_or(BuildError::Image("a right is unknown"))?;
            let (who, whom) = (name(plan, right.domain)?, Name::new(kind.name()).unwrap_or_default());
            let unsaid = BuildError::Policy { who, whom, how: "holding it" };
            self.find(&format!("{who} holds {whom}"))
                .filter(|line| line.ends_with(whom.as_str()))
                .ok_or(unsaid)?;
        }
        plan.supervisions.iter().try_for_each(|entry| {
            self.tells(plan, entry.subject, entry.domain, "fault")?;
            self.tells(plan, entry.domain, entry.subject, "fault")
        })
    }

    fn tells(&self, plan: &Plan<'_>, from: u32, to: u32, how: &'static str) -> Result<(), BuildError> {
        let (who, whom) = (name(plan, from)?, name(plan, to)?);
        let line = self.find(&format!("{who} tells {whom} by {how}: "));
        line.map(drop).ok_or(BuildError::Policy { who, whom, how })
    }

    /// The first line that begins so.
    fn find(&self, start: &str) -> Option<&'a str> {
        let place = self.lines.partition_point(|line| *line < start);
        self.lines.get(place).copied().filter(|line| line.starts_with(start))
    }
}

/// The device whose registers or configuration page a region is: by the one table by which the region is made.
fn device_of<'a>(plan: &Plan<'a>, region: u32) -> Result<Option<&'a DeviceEntry>, BuildError> {
    let place = region as usize;
    match source(plan.region(place)?)? {
        RegionSource::Device => plan.device(plan.area_of(place)?.device).map(Some),
        RegionSource::ConfigurationPage => plan.function_of(place).map(|(device, _)| Some(device)),
        RegionSource::Memory | RegionSource::Budget | RegionSource::BootLog => Ok(None),
    }
}

/// What a policy says of a name it says of one domain.
fn named_once(plan: &Plan<'_>) -> Result<(), BuildError> {
    let mut names: Vec<&str> = plan.domains.iter().map(|entry| entry.name.as_str()).collect();
    names.sort_unstable();
    let is_twice = names.windows(2).any(|two| two[0] == two[1]);
    if is_twice { Err(BuildError::Image("two domains have one name")) } else { Ok(()) }
}

/// Pages of a region that a domain sees, can map, or can show its guest.
struct View {
    domain: u32,
    region: u32,
    first: u32,
    pages: u32,
    is_writable: bool,
}

impl View {
    fn overlaps(&self, other: &Self) -> bool {
        let ends = [self, other].map(|view| view.first.saturating_add(view.pages));
        self.region == other.region && self.first < ends[1] && other.first < ends[0]
    }
}

fn views(plan: &Plan<'_>) -> Vec<View> {
    let is_writable = |rights: u32| rights & Rights::WRITE.bits() != 0;
    let mapped = plan.mappings.iter().map(|mapping| View {
        domain: mapping.domain,
        region: mapping.region,
        first: mapping.first_page,
        pages: mapping.pages,
        is_writable: is_writable(mapping.rights),
    });
    let whole = |domain, region, is_writable| View { domain, region, first: 0, pages: u32::MAX, is_writable };
    let held = plan.region_slots.iter().map(|slot| whole(slot.domain, slot.region, is_writable(slot.rights)));
    let shown = plan.guests.iter().flat_map(|guest| {
        let attached = (0_u32..).zip(guest.attached).filter(|(_, region)| *region != NONE);
        let attached =
            attached.map(|(bit, region)| whole(guest.domain, region, guest.writable & (1 << bit) != 0));
        // The kernel writes there what the guest has in its registers.
        attached.chain([whole(guest.domain, guest.frame, true)])
    });
    mapped.chain(held).chain(shown).collect()
}

/// Whether a part is among those of a line, which commas separate.
fn has(line: &str, part: &str) -> Option<()> {
    line.split(", ").any(|own| own == part).then_some(())
}

fn name(plan: &Plan<'_>, domain: u32) -> Result<Name, BuildError> {
    plan.domain(domain).map(|entry| entry.name)
}
