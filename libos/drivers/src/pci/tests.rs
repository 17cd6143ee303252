use std::vec::Vec;

use proptest::prelude::*;

use super::{simulated::SimulatedPage, *};

const MESSAGE: InterruptMessage = InterruptMessage { address: 0xfee0_3000, data: 0x38 };

fn page() -> SimulatedPage {
    let page = SimulatedPage::new(0x1af4, 0x1041);
    page.add_bar(1, 0x1000, false);
    page.add_bar(4, 0x4000, true);
    page.add_msix(0x98, 4, 1, 0x800);
    page.add_capability(0x84, CAPABILITY_VENDOR, &[]);
    page
}

fn area(address: u64, bytes: u64) -> Area<SimulatedPage> {
    Area { registers: SimulatedPage::new(0, 0), address, bytes }
}

#[test]
fn what_is_absent_or_a_bridge_is_no_device() {
    let page = SimulatedPage::new(u16::MAX, u16::MAX);
    assert_eq!(Function::open(page.clone()).err(), Some(PciError::Absent));
    let bridge = SimulatedPage::new(0x8086, 1);
    bridge.set(register::HEADER_TYPE, &[0x81]);
    assert_eq!(Function::open(bridge).err(), Some(PciError::NotADevice(1)));
}

#[test]
fn a_function_that_was_left_running_is_silenced() {
    let page = page();
    page.set(register::COMMAND, &[0x07, 0]);
    page.set(0x9b, &[0x80]);
    Function::open(page.clone()).unwrap();
    assert_eq!(page.word(register::COMMAND) as u16, COMMAND_NO_LINE);
    assert_eq!(page.byte(0x9b) & 0x80, 0, "MSI-X is off");
}

#[test]
fn bars_go_to_where_the_platform_wants_them() {
    let page = page();
    let mut function = Function::open(page.clone()).unwrap();
    function.place(4, &area(0x12_3456_4000, 0x4000)).unwrap();
    function.place(1, &area(0xfebf_1000, 0x2000)).unwrap();
    assert_eq!([page.word(0x20), page.word(0x24), page.word(0x14)], [0x3456_4004, 0x12, 0xfebf_1000]);
}

#[test]
fn bars_that_do_not_fit_stay_out() {
    let page = page();
    let mut function = Function::open(page.clone()).unwrap();
    let misfit = |bar, bytes, address, room| Err(PciError::Misfit { bar, bytes, address, room });
    let cases = [
        (4, 0xfe00_0000, 0x3000, misfit(4, 0x4000, 0xfe00_0000, 0x3000)),
        (4, 0xfe00_1000, 0x4000, misfit(4, 0x4000, 0xfe00_1000, 0x4000)),
        (1, 0x1_0000_0000, 0x1000, misfit(1, 0x1000, 0x1_0000_0000, 0x1000)),
        (2, 0xfe00_0000, 0x4000, misfit(2, 0, 0xfe00_0000, 0x4000)),
        (6, 0xfe00_0000, 0x4000, Err(PciError::NotMemory(6))),
    ];
    for (bar, address, room, expected) in cases {
        assert_eq!(function.place(bar, &area(address, room)), expected);
    }
    page.set(register::FIRST_BAR, &[1]);
    assert_eq!(function.place(0, &area(0xfe00_0000, 0x4000)), Err(PciError::NotMemory(0)));
}

#[test]
fn capabilities_come_in_their_order() {
    let mut function = Function::open(page()).unwrap();
    let found: Vec<_> = function.capabilities().collect();
    assert_eq!(found, [Capability { id: 9, at: 0x84 }, Capability { id: 0x11, at: 0x98 }]);
}

#[test]
fn a_vector_is_set_before_it_may_arrive() {
    let page = page();
    let mut function = Function::open(page.clone()).unwrap();
    let msix = function.msix().unwrap();
    assert_eq!((msix.bar, msix.vectors), (1, 4));
    let mut table = area(0, 0x1000);
    table.registers.allow(0x800, &[0xff; 64]);
    function.enable_msix(&msix, &mut table, MESSAGE).unwrap();
    let vectors: Vec<_> = (0..16).map(|word| table.registers.word(0x800 + 4 * word)).collect();
    assert_eq!(vectors, [0xfee0_3000, 0, 0x38, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
    assert_eq!(page.byte(0x9b), 0x80, "enabled, and not masked as a whole");
    let mut short = area(0, 0x830);
    assert_eq!(function.enable_msix(&msix, &mut short, MESSAGE), Err(PciError::NoVectors));
}

proptest! {
    /// Whatever a page says: nothing runs for ever, and nothing outside of it is touched.
    #[test]
    fn any_page_is_borne(bytes in prop::collection::vec(any::<u8>(), 0x100)) {
        let page = SimulatedPage::new(0, 0);
        page.set(0, &bytes);
        page.set(register::HEADER_TYPE, &[0]);
        if let Ok(mut function) = Function::open(page.clone()) {
            prop_assert!(function.capabilities().count() <= MAX_CAPABILITIES);
            for bar in 0..=u8::MAX {
                let _ = function.place(bar, &area(0xfe00_0000, 0x4000));
            }
            if let Some(msix) = function.msix() {
                let _ = function.enable_msix(&msix, &mut area(0, 0x1000), MESSAGE);
            }
        }
    }
}
