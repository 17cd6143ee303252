//! What the values of `arch` promise.

use cloison_abi::CallError;
use cloison_rules::{Frame, memory::Run};

use crate::arch::{machine, regions::Regions, space::AddressSpace};

#[test]
#[should_panic(expected = "that is in use")]
fn an_address_space_that_is_loaded_cannot_end() {
    let (mut free, kernel) = machine::start(64);
    let mut space = AddressSpace::new(free.take(4).unwrap().zeroed(), &kernel);
    machine::load_space(&space);
    let _ = space.end();
}

#[test]
fn pages_come_back_only_to_their_region() {
    let (mut free, kernel) = machine::start(64);
    let mut regions = Regions::EMPTY;
    let [one, other] = [0; 2].map(|_| regions.add_memory(free.take(4).unwrap()).unwrap());
    for region in [one, other] {
        assert_eq!(regions.scrub_step(region, 8), Ok(true));
    }
    let [mut of_one, _of_other] =
        [one, other].map(|region| AddressSpace::new(regions.take_tables(region).unwrap(), &kernel));
    let frames = of_one.end().unwrap();
    assert_eq!(regions.end_tables(other, &frames), Err(CallError::BadState));
    assert_eq!(regions.end_tables(one, &frames), Ok(()));
    assert!(of_one.end().is_none(), "it has ended");
}

#[test]
fn nothing_that_the_kernel_maps_is_a_device() {
    let (_, kernel) = machine::start(64);
    let first = Frame::new(machine::FIRST_FRAME);
    assert!(kernel.device(Run::new(first, 1)).is_err());
    assert!(kernel.device(Run::new(first.after(63), 2)).is_err());
    assert!(kernel.device(Run::new(first.after(64), 2)).is_ok());
}
