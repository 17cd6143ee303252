//! Rows tile an image, and a row that does not fit is refused.

use cloison_abi::{
    image::ImageHeader,
    measure::{MAX_ROWS, PCR_BUILDER, PCR_PLAN, PCR_PROGRAMS, ROWS_MAGIC, RowEntry, RowsHeader},
};
use cloison_measure::{
    BadRows, Row, Rows,
    event::{System, sha256},
    rows::Fault,
};
use proptest::prelude::*;
use zerocopy::IntoBytes;

const NAMES: [&str; 3] = ["header", "domain a, b", "plan"];

/// An image with three rows.
struct Sketch {
    header: RowsHeader,
    rows: [RowEntry; 3],
    length: usize,
}

impl Sketch {
    fn new() -> Self {
        let row = |place: u64, pcr| RowEntry {
            image_offset: 1000 * place,
            image_bytes: 1000,
            pcr,
            name_bytes: NAMES[place as usize].len() as u32,
        };
        Self {
            header: RowsHeader { magic: ROWS_MAGIC, count: 3, reserved: 0 },
            rows: [row(0, PCR_BUILDER), row(1, PCR_PROGRAMS), row(2, PCR_PLAN)],
            length: 3000,
        }
    }

    fn image(&self) -> Vec<u8> {
        let names = NAMES.concat();
        let mut image = vec![0; size_of::<ImageHeader>()];
        image.extend([self.header.as_bytes(), self.rows.as_bytes(), names.as_bytes()].concat());
        image.resize(self.length, 7);
        image
    }
}

fn changed(change: impl Fn(&mut Sketch)) -> Option<BadRows> {
    let mut sketch = Sketch::new();
    change(&mut sketch);
    Rows::read(&sketch.image()).err()
}

#[test]
fn rows_in_order_are_taken() {
    let image = Sketch::new().image();
    let rows: Vec<Row<'_>> = Rows::read(&image).unwrap().iter().collect();
    assert_eq!(rows.iter().map(|row| row.name).collect::<Vec<_>>(), NAMES);
    assert_eq!(rows[1], Row { name: "domain a, b", pcr: 13, offset: 1000, bytes: 1000 });
    assert_eq!(rows[2].of(&image), [7; 1000]);
}

#[test]
fn rows_that_do_not_tile_the_image_are_refused() {
    let row = |number, fault| Some(BadRows::Row(number, fault));
    assert_eq!(changed(|sketch| sketch.rows[1].image_offset += 1), row(1, Fault::Start(1001, 1000)), "gap");
    assert_eq!(
        changed(|sketch| sketch.rows[1].image_offset -= 1),
        row(1, Fault::Start(999, 1000)),
        "overlap"
    );
    assert_eq!(changed(|sketch| sketch.rows[0].image_offset = 1), row(0, Fault::Start(1, 0)));
    assert_eq!(
        changed(|sketch| sketch.rows[2].image_bytes += 1),
        row(2, Fault::Length(1001)),
        "past the end"
    );
    assert_eq!(changed(|sketch| sketch.rows[2].image_bytes = u64::MAX), row(2, Fault::Length(u64::MAX)));
    assert_eq!(changed(|sketch| sketch.rows[0].image_bytes = 0), row(0, Fault::Length(0)));
    assert_eq!(changed(|sketch| sketch.length += 1), Some(BadRows::End(3000, 3001)), "image longer");
    assert_eq!(changed(|sketch| sketch.length -= 1), row(2, Fault::Length(1000)), "image shorter");
}

#[test]
fn rows_of_other_registers_and_without_names_are_refused() {
    for pcr in [0, 8, 10, 14, 16, 24, u32::MAX] {
        assert_eq!(changed(|sketch| sketch.rows[1].pcr = pcr), Some(BadRows::Row(1, Fault::Pcr(pcr))));
    }
    let no_name = Some(BadRows::Row(1, Fault::Name));
    assert_eq!(changed(|sketch| sketch.rows[1].name_bytes = 0), no_name);
    assert_eq!(changed(|sketch| sketch.rows[1].name_bytes = 641), no_name);
    assert_eq!(changed(|sketch| sketch.rows[1].name_bytes = u32::MAX), no_name);
    // The bytes behind the names are no text.
    assert_eq!(changed(|sketch| sketch.rows[2].name_bytes += 1), Some(BadRows::Row(2, Fault::Name)));
}

#[test]
fn an_image_without_a_table_is_refused() {
    assert_eq!(changed(|sketch| sketch.header.magic[7] = 1), Some(BadRows::NoTable));
    for count in [0, MAX_ROWS as u32 + 1, u32::MAX] {
        assert_eq!(changed(|sketch| sketch.header.count = count), Some(BadRows::Count(count)));
    }
    assert_eq!(Rows::read(&[]).err(), Some(BadRows::Short));
    let image = Sketch::new().image();
    assert_eq!(Rows::read(&image[..size_of::<ImageHeader>() + 40]).err(), Some(BadRows::Short));
    assert_eq!(
        BadRows::Row(1, Fault::Start(1001, 1000)).to_string(),
        "row 1 begins at 1001, and what lies before it ends at 1000"
    );
}

proptest! {
    #[test]
    fn a_changed_byte_changes_one_event(place in any::<prop::sample::Index>(), bit in 0..8_u32) {
        let image = Sketch::new().image();
        let place = place.index(image.len());
        let mut other = image.clone();
        other[place] ^= 1 << bit;
        // A change within the table may make another table of it.
        let Ok(rows) = Rows::read(&other) else { return Ok(()) };
        let events = |image, rows| System { options: &[], kernel: b"k", image, rows }.events(sha256);
        let before: Vec<_> = events(&image, Rows::read(&image).unwrap()).map(|event| event.digest).collect();
        let after: Vec<_> = events(&other, rows).map(|event| event.digest).collect();
        let differ: Vec<usize> = (0..before.len()).filter(|event| before[*event] != after[*event]).collect();
        prop_assert_eq!(differ, [2 + place / 1000]);
    }

    #[test]
    fn any_bytes_are_rows_or_none(table in prop::collection::vec(any::<u8>(), 0..300), length in 0..5000_usize) {
        let mut image = vec![0; size_of::<ImageHeader>()];
        image.extend(RowsHeader { magic: ROWS_MAGIC, count: 1, reserved: 0 }.as_bytes());
        image.extend(table);
        image.resize(length, 0);
        if let Ok(rows) = Rows::read(&image) {
            prop_assert_eq!(rows.iter().map(|row| row.bytes).sum::<u64>(), length as u64);
        }
    }
}
