use std::{collections::VecDeque, vec, vec::Vec};

use super::*;

/// A 16550 as the driver sees it, and the wire behind it.
#[derive(Default)]
struct Simulated {
    registers: [u8; 8],
    divisor: u16,
    fifo: VecDeque<u8>,
    sent: Vec<u8>,
    received: VecDeque<u8>,
    /// The transmitter is empty and nobody has read that cause yet.
    transmitted: bool,
    absent: bool,
    stuck: bool,
}

impl Simulated {
    /// The wire takes what is in the FIFO.
    fn transmit(&mut self) {
        self.sent.extend(self.fifo.drain(..));
        self.transmitted = true;
    }

    /// The level of the interrupt line.
    fn interrupts(&self) -> bool {
        self.registers[4] & 8 != 0 && self.cause() & 1 == 0
    }

    fn cause(&self) -> u8 {
        let enabled = self.registers[1];
        match () {
            () if enabled & 1 != 0 && !self.received.is_empty() => 0xc4,
            () if enabled & 2 != 0 && self.transmitted => 0xc2,
            () => 0xc1,
        }
    }
}

impl Ports for &mut Simulated {
    fn read8(&mut self, offset: u16) -> u8 {
        if self.absent {
            return 0xff;
        }
        match offset {
            0 => self.received.pop_front().unwrap_or(0),
            2 => {
                let cause = self.cause();
                if cause & 0xf == 2 {
                    self.transmitted = false;
                }
                cause
            }
            5 => {
                let idle = if self.fifo.is_empty() && !self.stuck { 0x60 } else { 0 };
                idle | u8::from(!self.received.is_empty())
            }
            _ => self.registers[usize::from(offset)],
        }
    }

    fn write8(&mut self, offset: u16, value: u8) {
        let divisor = self.registers[3] & 0x80 != 0;
        match offset {
            0 if divisor => self.divisor = self.divisor & 0xff00 | u16::from(value),
            1 if divisor => self.divisor = self.divisor & 0xff | u16::from(value) << 8,
            0 => {
                assert!(self.fifo.len() < FIFO_BYTES, "the FIFO is full");
                self.fifo.push_back(value);
                self.transmitted = false;
            }
            1 => {
                let armed = value & !self.registers[1] & 2 != 0;
                self.transmitted |= armed && self.fifo.is_empty();
                self.registers[1] = value;
            }
            _ => self.registers[usize::from(offset)] = value,
        }
    }
}

#[test]
fn start_sets_speed_and_format() {
    let mut device = Simulated::default();
    Uart::start(&mut device).unwrap();
    assert_eq!((device.divisor, device.registers[3]), (1, 0b11));
    assert_eq!(device.registers[1], 0b101, "no interrupt for a transmitter that has nothing to send");
    assert!(!device.interrupts());
}

#[test]
fn a_missing_uart_is_reported() {
    let mut device = Simulated { absent: true, ..Simulated::default() };
    assert_eq!(Uart::start(&mut device).err(), Some(UartError::Absent));
}

#[test]
fn bytes_go_out_a_fifo_at_a_time() {
    let text: Vec<u8> = (0..50).collect();
    let mut device = Simulated::default();
    Uart::start(&mut device).unwrap();
    let (mut done, mut interrupts) = (0, 0);
    while done < text.len() {
        let mut uart = Uart { interrupts: device.registers[1], ports: &mut device };
        done += uart.send(&text[done..]);
        assert_eq!(uart.send(&text[done..]), 0, "the FIFO takes no more");
        device.transmit();
        if device.interrupts() {
            let mut uart = Uart { interrupts: device.registers[1], ports: &mut device };
            assert!(uart.service(|_| panic!("nothing was received")));
            assert!(!device.interrupts(), "the line has to fall, or it cannot rise again");
            interrupts += 1;
        }
    }
    assert_eq!(device.sent, text);
    assert_eq!(interrupts, 3, "one for each full FIFO but the last");
}

#[test]
fn service_takes_all_that_was_received() {
    let mut device = Simulated::default();
    Uart::start(&mut device).unwrap();
    device.received.extend(1..=20);
    assert!(device.interrupts());
    let mut got = vec![];
    let mut uart = Uart { interrupts: device.registers[1], ports: &mut device };
    assert!(uart.service(|byte| got.push(byte)), "the transmitter is free");
    assert_eq!(got, (1..=20).collect::<Vec<u8>>());
    assert!(!device.interrupts());
}

#[test]
fn a_device_that_never_stops_is_left_in_time() {
    struct Babbling;
    impl Ports for Babbling {
        fn read8(&mut self, offset: u16) -> u8 {
            if offset == register::CAUSE { 0xc4 } else { 0x61 }
        }
        fn write8(&mut self, _: u16, _: u8) {}
    }
    let mut count = 0;
    Uart { ports: Babbling, interrupts: 0 }.service(|_| count += 1);
    assert!(count < 10_000, "{count} bytes in one interrupt");
}

#[test]
fn polling_writes_all_or_says_so() {
    let mut device = Simulated::default();
    let mut uart = Uart::start(&mut device).unwrap();
    assert_eq!(uart.write(&[7; 40]), Ok(FIFO_BYTES));
    device.transmit();
    assert_eq!(device.sent, [7; 16]);
    device.stuck = true;
    let mut uart = Uart { interrupts: 0, ports: &mut device };
    assert_eq!(uart.write(b"x"), Err(UartError::Stuck));
    assert_eq!(uart.flush(), Err(UartError::Stuck));
}
