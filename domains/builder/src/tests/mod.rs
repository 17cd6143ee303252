//! The builder against a kernel that only keeps count, on plans as they should be and on plans that are damaged.

mod crash;
mod fake;
mod lives;
mod policy;
mod pools;
mod saved;
mod sketch;

use std::vec::Vec;

use cloison_abi::{
    CallError, Name,
    call::{BUILDER_SLOT_LOG, BUILDER_SLOT_MEMORY},
    plan::{FaultPolicy, NONE, PlanHeader, RegionSource},
};
use cloison_sys::Slot;
use proptest::prelude::*;

use crate::{BuildError, FreeMemory, Image, Site};
use fake::{Fake, RUN_PAGES, SPARED};
use sketch::{ALL_PAGES, DOMAINS, FUNCTION, RESTARTED, Sketch, image_of, opened};

/// The memory that [`Fake`] has.
fn memory() -> FreeMemory {
    FreeMemory::new([(Slot(BUILDER_SLOT_MEMORY), RUN_PAGES)])
}

/// Builds all domains of an image.
fn build<'a>(kernel: &'a Fake, image: &'a Image<'a>) -> Result<Site<'a, &'a Fake>, BuildError> {
    let mut site = Site::open(kernel, image, memory())?;
    (0..DOMAINS).try_for_each(|domain| site.build(domain))?;
    Ok(site)
}

#[test]
fn after_the_build_it_holds_what_a_restart_needs_and_no_more() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    assert_eq!(kernel.pages_in_use(), ALL_PAGES);
    assert_eq!(kernel.free_slots_in_use(), DOMAINS as usize + 4, "each domain, and four regions");
    site.give_up_rights(SPARED).unwrap();
    assert_eq!(kernel.rights_of(Slot(BUILDER_SLOT_MEMORY)), None, "the free memory");
    assert_eq!(kernel.slots_in_use(), 1 + 1 + DOMAINS as usize + 4, "itself and the spared right too");
    (0..DOMAINS).try_for_each(|domain| site.start(domain)).unwrap();
    assert_eq!(kernel.free_slots_in_use(), 1 + 4);
    assert!((0..DOMAINS).all(|domain| site.handled(domain).is_some() == (domain == RESTARTED)));
    let (slot, event) = site.handled(RESTARTED).unwrap();
    assert_eq!((kernel.rights_of(slot).unwrap().as_str(), event), ("Rights(HANDLE_FAULT)", 0));
}

#[test]
fn a_restart_clears_and_loads_after_the_reset_and_starts_last() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut site = build(&kernel, &image).unwrap();
    site.give_up_rights(SPARED).unwrap();
    (0..DOMAINS).try_for_each(|domain| site.start(domain)).unwrap();
    kernel.forget_steps();
    site.restart(RESTARTED).unwrap();
    let clear = "clearing memory";
    // Its own memory, and that of its guest; not the file, which nobody can write.
    assert_eq!(kernel.steps(), ["a new life", clear, clear, clear, clear, "loading", "starting a domain"]);
}

/// Nothing is made twice, in whatever order two domains need it.
#[test]
fn a_plan_is_carried_out_once() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    build(&kernel, &image).unwrap();
    let count = |name| kernel.steps().iter().filter(|step| **step == name).count();
    let counts = ["memory", "region of a device", "creating a domain", "mapping", "loading"].map(count);
    assert_eq!(counts, [3 + 10, 1, 3, 11, 4]);
    let counts = ["gate", "event", "domain", "region", "interrupt", "I/O ports", "log-right", "census-right"];
    assert_eq!(counts.map(count), [1, 2, 1, 1, 1, 1, 1, 1]);
    assert_eq!(count("guest"), 1);
    assert_eq!(count("configuring a domain"), 3);
    assert_eq!(count("starting a domain"), 0, "nothing runs before all is built");
}

/// Who may see the log sees the boot loader's, or memory with nothing in it. Nothing of it stays with the builder.
#[test]
fn a_log_is_given_or_stood_in_for() {
    let mut plan = Sketch::system();
    plan.add_log(2, 3);
    let bytes = plan.image();
    for (kernel, pages) in [(Fake::with_log(), 0), (Fake::new(), 3)] {
        let image = opened(&bytes);
        let mut site = build(&kernel, &image).unwrap();
        assert_eq!(kernel.pages_in_use(), ALL_PAGES + pages);
        assert_eq!(kernel.free_slots_in_use(), DOMAINS as usize + 4, "each domain, and four regions");
        site.give_up_rights(SPARED).unwrap();
        assert_eq!(kernel.rights_of(Slot(BUILDER_SLOT_LOG)), None, "the log");
    }
}

/// A device gets the page that is its function's, and one page even where the plan says more.
#[test]
fn a_configuration_page_is_that_of_its_function() {
    for pages in [1, 8] {
        let mut plan = Sketch::system();
        let page = plan.configuration_pages[0].region as usize;
        plan.regions[page].pages = pages;
        let (bytes, kernel) = (plan.image(), Fake::new());
        build(&kernel, &opened(&bytes)).unwrap();
        assert_eq!(kernel.taken_of_space(), [(FUNCTION.into(), 1)]);
    }
}

/// What the kernel refuses of a device is said with the device, and with what the plan has of it.
#[test]
fn a_device_that_is_not_there_is_named() {
    let name = Name::new("nic0").unwrap();
    let mut plan = Sketch::system();
    plan.devices[0].name = name;
    let said = |plan: &Sketch, kernel: &Fake| {
        let bytes = plan.image();
        let image = opened(&bytes);
        std::format!("{}", build(kernel, &image).map(drop).unwrap_err())
    };
    let no_page = "the kernel has no configuration page for nic0, PCI function 00:03.0: the slot is empty";
    assert!(said(&plan, &Fake::without_space()).starts_with(no_page));
    plan.devices[0].pci_function = 0x2fb;
    let no_page =
        "the kernel has no configuration page for nic0, PCI function 02:1f.3: an argument is out of range";
    assert!(said(&plan, &Fake::new()).starts_with(no_page));
}

/// Whichever step of a domain's building fails: all of it comes back, and it can be built after all.
#[test]
fn a_failed_build_leaves_nothing_behind() {
    let bytes = Sketch::system().image();
    let image = opened(&bytes);
    for fails_at in 0.. {
        let kernel = Fake::new();
        // No page more than what is built in the end: what does not come back is missing then.
        let memory = FreeMemory::new([(Slot(BUILDER_SLOT_MEMORY), ALL_PAGES)]);
        let mut site = Site::open(&kernel, &image, memory).unwrap();
        site.build(0).unwrap();
        let before = (kernel.pages_in_use(), kernel.free_slots_in_use());
        kernel.forget_steps();
        kernel.fail_at(fails_at);
        let built = site.build(1);
        kernel.fail_at(usize::MAX);
        if built.is_ok() && kernel.steps().len() <= fails_at {
            assert!(fails_at > 10, "a domain takes more steps than that");
            return;
        }
        if built.is_err() {
            let own_tables = (1, 2);
            let after = (kernel.pages_in_use() + own_tables.0, kernel.free_slots_in_use() + own_tables.1);
            assert_eq!(after, before, "at step {fails_at}");
            site.build(1).unwrap();
        }
        site.build(2).unwrap();
        assert_eq!(kernel.pages_in_use(), ALL_PAGES, "at step {fails_at}");
    }
}

#[test]
fn too_little_memory_is_said_before_anything_is_made() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let memory = FreeMemory::new([(Slot(BUILDER_SLOT_MEMORY), ALL_PAGES - 1)]);
    let error = Site::open(&kernel, &image, memory).err();
    assert_eq!(error, Some(BuildError::Memory { needed: ALL_PAGES, left: ALL_PAGES - 1 }));
    assert!(kernel.steps().is_empty());
}

#[test]
fn a_refused_step_is_named() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    kernel.fail_at(0);
    let error = Site::open(&kernel, &image, memory()).err().unwrap();
    assert_eq!(error, BuildError::Refused("memory", CallError::Denied));
    assert_eq!(std::format!("{error}"), "the kernel refused a step (memory): the policy forbids it");
}

const NO_MEMORY: &str = "what is loaded goes to a region that is no memory";

/// Gives a domain with a device the region of that device from this source, and loads its program there.
fn load_into(plan: &mut Sketch, of: RegionSource) {
    let place = plan.regions.iter().position(|region| region.source == of as u32).unwrap();
    plan.regions[place].owner = RESTARTED;
    plan.loads[0].region = place as u32;
}

/// Each of these is one entry of a good plan, changed: the builder says what is wrong with it.
#[test]
fn what_the_plan_cannot_mean_is_an_error() {
    type Change = fn(&mut Sketch);
    let changes: [(Change, &str); 26] = [
        (|plan| plan.regions[0].source = 0, "a region's source is unknown"),
        (|plan| plan.areas.clear(), "a region shows no area of a device"),
        (|plan| plan.areas[0].device = 9, "registers are of no device"),
        (|plan| plan.configuration_pages.clear(), "a region is no device's configuration page"),
        (|plan| plan.configuration_pages[0].device = 9, "registers are of no device"),
        (|plan| plan.devices[0].pci_function = NONE, "a device is on no bus of PCI"),
        (|plan| plan.threads[2].domain = 7, "a domain has no thread"),
        (|plan| plan.gates[0].server = 9, "the plan names a thread that is not there"),
        (|plan| plan.supervisions.clear(), "nobody handles the faults of a domain"),
        (|plan| plan.supervisions[0].domain = 9, "the plan names a domain that is not there"),
        (|plan| plan.mappings[0].region = 99, "the plan names a region that is not there"),
        (|plan| plan.region_slots[0].slot = 256, "a slot's number is too large"),
        (|plan| plan.gates[0].grants = 256, "a slot's number is too large"),
        (|plan| plan.interrupts[0].source = 1 << 20, "the source of an interrupt is unknown"),
        (|plan| plan.interrupts[0].thread = 0, "an interrupt reaches another domain than its device's"),
        (|plan| plan.dma[0].region = 0, "a device reaches memory of another domain than its own"),
        (|plan| plan.rights[0].kind = 99, "a right is unknown"),
        (|plan| plan.domains[0].on_fault = 9, "a domain's fault policy is unknown"),
        (|plan| plan.loads[0].image_offset = u64::MAX, "a part that the plan names is not there"),
        (|plan| plan.files[0].image_offset = u64::MAX, "a part that the plan names is not there"),
        (|plan| load_into(plan, RegionSource::Device), NO_MEMORY),
        (|plan| load_into(plan, RegionSource::ConfigurationPage), NO_MEMORY),
        (|plan| plan.files[0].region = plan.areas[0].region, NO_MEMORY),
        (|plan| plan.guests[0].tables = 99, "the plan names a region that is not there"),
        (|plan| plan.guests[0].attached[1] = 99, "the plan names a region that is not there"),
        (|plan| plan.guests[0].slot = 256, "a slot's number is too large"),
    ];
    for (change, what) in changes {
        let mut plan = Sketch::system();
        change(&mut plan);
        let (bytes, kernel) = (plan.image(), Fake::new());
        let error = image_of(&bytes).and_then(|image| build(&kernel, &image).map(drop)).unwrap_err();
        assert_eq!(error, BuildError::Image(what));
    }
}

#[test]
fn a_program_that_was_changed_is_not_started_again() {
    let mut plan = Sketch::system();
    plan.domains[RESTARTED as usize].digest = [7; 32];
    let (bytes, kernel) = (plan.image(), Fake::new());
    let image = opened(&bytes);
    assert!(matches!(image.check(), Err(BuildError::Program { planned, .. }) if planned == [7; 32]));
    let mut site = build(&kernel, &image).unwrap();
    kernel.forget_steps();
    assert!(matches!(site.restart(RESTARTED), Err(BuildError::Program { .. })));
    assert_eq!(kernel.steps(), ["a new life"]);
}

#[test]
fn a_file_that_was_changed_starts_nothing() {
    let mut plan = Sketch::system();
    plan.regions.iter_mut().for_each(|region| region.name = Name::new("kernel").unwrap());
    plan.files[0].digest = [7; 32];
    let bytes = plan.image();
    let error = opened(&bytes).check().unwrap_err();
    assert!(matches!(error, BuildError::File { planned, .. } if planned == [7; 32]));
    let text = std::format!("{error}");
    assert!(text.starts_with("the file kernel is not the one in the plan; its digest is "), "{text}");
    assert!(text.ends_with("..., not 0707070707070707..."), "{text}");
}

/// Enough memory, but not in one piece, as a guest's has to be.
#[test]
fn memory_in_pieces_is_told_from_too_little() {
    let bytes = Sketch::system().image();
    let (kernel, image) = (Fake::new(), opened(&bytes));
    let mut memory = memory();
    let pieces: Vec<_> = (0..RUN_PAGES).map(|_| memory.take(1).unwrap()).collect();
    let every_other = pieces.into_iter().step_by(2);
    every_other.for_each(|piece| memory.give_back(piece));
    let mut site = Site::open(&kernel, &image, memory).unwrap();
    let error = site.build(0).unwrap_err();
    assert_eq!(error, BuildError::Piece { needed: 2, largest: 1 });
    assert_eq!(
        std::format!("{error}"),
        "too little memory in one piece: 8 KiB needed, the largest piece has 4 KiB"
    );
}

/// An entry of a plan, as bytes, set to something.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u32)>> {
    let value = prop_oneof![any::<u32>(), 0..8_u32, Just(u32::MAX), Just(FaultPolicy::Restart as u32)];
    prop::collection::vec((any::<prop::sample::Index>(), value), 1..6)
}

proptest! {
    /// Whatever the words of a plan are, header included: an error at worst.
    #[test]
    fn a_damaged_plan_is_an_error_at_worst(changes in changes()) {
        let mut bytes = Sketch::system().image();
        let plan = size_of::<cloison_abi::image::ImageHeader>();
        let words = bytes.words_from(plan);
        for (place, value) in changes {
            let place = place.index(words.len());
            words[place] = value;
        }
        if let Ok(image) = image_of(&bytes) {
            let kernel = Fake::new();
            if let Ok(mut site) = build(&kernel, &image) {
                let _ = site.give_up_rights(SPARED);
                let _ = (0..DOMAINS).try_for_each(|domain| site.start(domain));
                let _ = (0..DOMAINS).try_for_each(|domain| site.restart(domain));
            }
        }
    }

    #[test]
    fn any_bytes_are_an_error_at_worst(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _ = crate::Plan::open(&bytes);
        let _ = Image::open(&bytes);
        let header = size_of::<PlanHeader>();
        prop_assert!(header <= 256, "the bytes reach beyond a header");
    }
}
