//! A guest that is asked to end.

use std::vec::Vec;

use cloison_abi::limits::PAGE_BYTES;
use cloison_xen::shared;
use cloison_xen::xenstore::{Header, kind};
use zerocopy::IntoBytes;

use super::Death;
use crate::boot::STORE_PORT;
use crate::byte_ring::ByteRing;
use crate::machine::Memory;
use crate::testing::Fixture;

/// Page of the store's rings.
const PAGE: u64 = 7 * PAGE_BYTES;
const WATCHED: &[u8] = b"control/shutdown\0token\0";

fn ring(data: u64, indices: u64) -> ByteRing {
    ByteRing { data: PAGE + data, size: 1024, consumed: PAGE + indices, produced: PAGE + indices + 4 }
}

/// Asks the store for a watch, as Linux does at its start.
fn watch(fixture: &mut Fixture) {
    let header = Header { kind: kind::WATCH, request: 1, transaction: 0, length: WATCHED.len() as u32 };
    let request = [header.as_bytes(), WATCHED].concat();
    assert_eq!(ring(0, 2048).put(&mut fixture.host, &request), Ok(request.len()));
}

fn told(fixture: &mut Fixture) -> Vec<u8> {
    let mut told = std::vec![0; 1024];
    let count = ring(1024, 2056).take(&mut fixture.host, &mut told).unwrap();
    told.truncate(count);
    told
}

#[test]
fn it_finds_that_in_its_store_and_is_told() {
    let mut fixture = Fixture::new();
    watch(&mut fixture);
    fixture.guest.ask_to_end(&mut fixture.host).unwrap();
    told(&mut fixture);
    let pending = fixture.host.shared_address() + shared::PENDING;
    fixture.host.store(pending, 0).unwrap();
    fixture.guest.ask_to_end(&mut fixture.host).unwrap();
    assert!(told(&mut fixture).ends_with(WATCHED), "its watch has an event");
    assert_eq!(fixture.host.load(pending), Some(1 << STORE_PORT));
    let asked = fixture.guest.devices.store().read("/local/domain/1/control/shutdown");
    assert_eq!(asked, Some(&b"poweroff"[..]));
}

#[test]
fn one_that_has_broken_its_store_dies_of_that() {
    let mut fixture = Fixture::new();
    let more_than_there_is_room_for = 1025_u32;
    fixture.host.write(PAGE + 2052, &more_than_there_is_room_for.to_le_bytes()).unwrap();
    assert!(matches!(fixture.guest.ask_to_end(&mut fixture.host), Err(Death::Store(_))));
}
