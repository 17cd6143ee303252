use std::string::ToString;

use proptest::prelude::*;

use super::*;

/// A clock with these registers, which goes forward at some of the looks.
struct Chip {
    registers: [u8; 128],
    chosen: u8,
    /// Looks at status A until it has gone forward.
    forward: u32,
    /// What it shows then.
    then: [u8; 128],
}

impl Chip {
    fn showing(face: Face) -> Self {
        let mut registers = [0; 128];
        let [second, minute, hour, day, month, year, status] = face;
        let places = [(0, second), (2, minute), (4, hour), (7, day), (8, month), (9, year), (0xb, status)];
        places.into_iter().for_each(|(place, value)| registers[place] = value);
        Self { registers, chosen: 0, forward: 0, then: registers }
    }
}

impl Ports for Chip {
    fn read8(&mut self, offset: u16) -> u8 {
        assert_eq!(offset, 1);
        if self.chosen == 0xa && self.forward > 0 {
            self.forward -= 1;
            if self.forward == 0 {
                self.registers = self.then;
            }
            return 0x80;
        }
        self.registers[usize::from(self.chosen)]
    }

    fn write8(&mut self, offset: u16, value: u8) {
        assert_eq!(offset, 0, "the clock is only read");
        self.chosen = value;
    }
}

fn read(face: Face) -> Result<Date, RtcError> {
    Rtc::new(Chip::showing(face)).read()
}

#[test]
fn each_form_of_a_date_is_read() {
    let expected = Date::new(2026, 11, 28, (15, 9, 58));
    let forms = [
        [0x58, 0x09, 0x15, 0x28, 0x11, 0x26, 0x02],
        [58, 9, 15, 28, 11, 26, 0x06],
        [0x58, 0x09, 0x83, 0x28, 0x11, 0x26, 0x00],
        [58, 9, 0x83, 28, 11, 26, 0x04],
    ];
    for face in forms {
        assert_eq!(read(face).ok(), expected, "{face:x?}");
    }
    // Twelve is the first hour of each half.
    let midnight = read([0, 0, 12, 1, 1, 0, 0x04]).unwrap();
    assert_eq!(midnight.to_string(), "2000-01-01 00:00:00");
    assert_eq!(read([0, 0, 0x8c, 1, 1, 0, 0x04]).unwrap().to_string(), "2000-01-01 12:00:00");
}

#[test]
fn dates_that_do_not_exist_are_refused() {
    let senseless = [
        [60, 0, 0, 1, 1, 0, 6],
        [0, 60, 0, 1, 1, 0, 6],
        [0, 0, 24, 1, 1, 0, 6],
        [0, 0, 0, 0, 1, 0, 6],
        [0, 0, 0, 32, 1, 0, 6],
        [0, 0, 0, 31, 4, 0, 6],
        [0, 0, 0, 29, 2, 26, 6],
        [0, 0, 0, 1, 0, 0, 6],
        [0, 0, 0, 1, 13, 0, 6],
        [0, 0, 0, 1, 1, 100, 6],
        // No decimal digits.
        [0x0a, 0, 0, 1, 1, 0, 2],
        [0xa0, 0, 0, 1, 1, 0, 2],
        // No hour of half a day.
        [0, 0, 0, 1, 1, 0, 4],
        [0, 0, 13, 1, 1, 0, 4],
    ];
    for face in senseless {
        assert_eq!(read(face), Err(RtcError::Senseless), "{face:?}");
    }
    assert!(read([0, 0, 0, 29, 2, 28, 6]).is_ok(), "a leap year");
}

#[test]
fn a_clock_that_goes_forward_is_read_afterwards() {
    let mut chip = Chip::showing([59, 59, 23, 31, 12, 26, 6]);
    chip.then = Chip::showing([0, 0, 0, 1, 1, 27, 6]).registers;
    chip.forward = 5;
    assert_eq!(Rtc::new(chip).read().unwrap().to_string(), "2027-01-01 00:00:00");
}

/// One that shows another second at each look.
struct Restless(u8);

impl Ports for Restless {
    fn read8(&mut self, _: u16) -> u8 {
        self.0 = (self.0 + 1) & 0x7f;
        self.0
    }

    fn write8(&mut self, _: u16, _: u8) {}
}

#[test]
fn what_never_rests_is_no_clock() {
    let mut gone = Chip::showing([0; 7]);
    gone.registers = [0xff; 128];
    assert_eq!(Rtc::new(gone).read(), Err(RtcError::Absent));
    assert_eq!(Rtc::new(Restless(0)).read(), Err(RtcError::Absent));
}

#[test]
fn seconds_count_from_1970() {
    let seconds = |year, month, day| Date::new(year, month, day, (0, 0, 0)).unwrap().seconds();
    // As `date -u -d DATE +%s` says.
    assert_eq!(seconds(1970, 1, 1), 0);
    assert_eq!(seconds(2000, 3, 1), 951_868_800);
    assert_eq!(seconds(2026, 11, 28), 1_795_824_000);
    assert_eq!(seconds(2099, 12, 31), 4_102_358_400);
    assert_eq!(Date::new(1969, 12, 31, (0, 0, 0)), None);
    assert_eq!(Date::new(2000, 1, 1, (1, 2, 3)).unwrap().seconds(), 946_684_800 + 3723);
}

proptest! {
    #[test]
    fn any_registers_give_a_date_or_an_error(face: Face) {
        if let Ok(date) = read(face) {
            prop_assert!((946_684_800..4_102_444_800).contains(&date.seconds()));
        }
    }

    #[test]
    fn a_later_date_has_more_seconds(one in 0..36_525_u32, days in 1..400_u32) {
        let date = |mut day: u32| {
            for year in 2000.. {
                for month in 1..=12 {
                    let days = (28..=31).rev().find(|day| Date::new(year, month, *day, (0, 0, 0)).is_some());
                    let days = u32::from(days.unwrap());
                    if day < days {
                        return Date::new(year, month, day as u8 + 1, (0, 0, 0)).unwrap();
                    }
                    day -= days;
                }
            }
            unreachable!()
        };
        let (one, other) = (date(one), date(one + days));
        prop_assert!(one < other);
        prop_assert_eq!(other.seconds() - one.seconds(), u64::from(days) * 86_400);
    }
}
